//! `stride generate`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stride::image::{ImageMetadata, read_image_file};

use crate::model::{SIDE, TRANSFORMER_WEIGHTS, edit_json, in_model, split_into_shards, workplace};
use crate::program::{Run, names_in, run};

/// Runs `stride generate` with the tiny model.
fn generate(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["generate", "--model", "model"], arguments].concat())
}

fn metadata(path: &Path) -> ImageMetadata {
    read_image_file(&fs::read(path).expect("a file")).expect("an image").metadata
}

/// Width and height of a PNG file.
fn sides(path: &Path) -> [u32; 2] {
    let bytes = fs::read(path).expect("a file");
    [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let place = workplace();
    for (file, seed) in [("a.png", "7"), ("b.png", "7"), ("c.png", "8")] {
        let run = generate(place.path(), &["a", "man", "with glasses", "--seed", seed, "-o", file]);
        assert_eq!(run.expect(0).says(&[&format!("seed {seed}")]).stdout, format!("{file}\n"));
    }
    let [a, b, c] =
        ["a.png", "b.png", "c.png"].map(|file| fs::read(place.path().join(file)).expect("a file"));
    assert_eq!(a, b);
    assert_ne!(a, c);
    assert_eq!(names_in(place.path()), ["a.png", "b.png", "c.png", "model"]);
}

#[test]
fn an_image_of_several_is_the_image_of_its_seed() {
    let place = workplace();
    let several = ["a man", "--count", "8", "--seed", "5", "-o", "out.png", "--cfg-scale", "2"];
    let files: String = (0..8).map(|k| format!("out-{k}.png\n")).collect();
    assert_eq!(generate(place.path(), &several).expect(0).stdout, files);
    generate(place.path(), &["a man", "--seed", "8", "-o", "one.png", "--cfg-scale", "2"])
        .expect(0);
    let read = |name: &str| fs::read(place.path().join(name)).expect("a file");
    assert_eq!(read("out-3.png"), read("one.png"));
    assert_ne!(read("out-3.png"), read("out-4.png"));
}

#[test]
fn an_image_says_how_it_was_made_unless_told_not_to() {
    let place = workplace();
    let arguments = ["a man", "--seed", "42", "-n", "hat", "--cfg-scale", "1.5", "-o", "a.png"];
    generate(place.path(), &arguments).expect(0);
    let found = metadata(&place.path().join("a.png"));
    let parameters = found.parameters.expect("text");
    let start = "a man\nNegative prompt: hat\nSteps: 3, Sampler: Euler shortcut, CFG scale: 1.5, \
                 Seed: 42, Size: 16x16, Model: tiny, Model hash: ";
    let rest = parameters.strip_prefix(start).unwrap_or_else(|| panic!("{parameters}"));
    let (hash, version) = rest.split_once(", ").expect("two pairs");
    assert!(hash.len() == 10 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    assert_eq!(version, format!("Version: stride {}", env!("CARGO_PKG_VERSION")));
    let settings: serde_json::Value =
        serde_json::from_str(&found.json.expect("JSON")).expect("JSON");
    assert_eq!(settings["seed"], 42);
    assert_eq!(settings["prompt"], "a man");
    assert_eq!(settings["model_hash"], hash);

    generate(place.path(), &[&arguments[..], &["--disable-image-metadata"]].concat()).expect(0);
    assert_eq!(metadata(&place.path().join("a.png")), ImageMetadata::default());
    assert_eq!(sides(&place.path().join("a.png")), [SIDE as u32; 2]);
}

#[test]
fn an_image_names_the_sampler_that_drew_it() {
    let place = workplace();
    let path = place.path().join("model/model_index.json");
    let mut index: Value =
        serde_json::from_slice(&fs::read(&path).expect("is there")).expect("JSON");
    let process =
        |kind| json!({"kind": kind, "schedule": "linear", "prediction": "v", "clip": 4.0});
    for (sampler, name) in [
        (json!({"kind": "euler"}), "Euler shortcut"),
        (json!({"kind": "euler", "base_level_only": true}), "Euler"),
        (json!({"kind": "consistency"}), "multistep consistency"),
        (process("ddim"), "DDIM"),
        (process("ddpm"), "DDPM"),
    ] {
        index["sampler"] = sampler;
        fs::write(&path, index.to_string()).expect("writable");
        generate(place.path(), &["a man", "--seed", "1", "-o", "a.png"]).expect(0);
        let parameters = metadata(&place.path().join("a.png")).parameters.expect("text");
        assert!(parameters.contains(&format!(", Sampler: {name}, CFG scale: ")), "{parameters}");
    }
}

#[test]
fn json_holds_files_settings_and_times() {
    let place = workplace();
    let arguments =
        ["a", "man", "--json", "--seed", "1", "--count", "2", "--steps", "6", "--strip", "s.png"];
    let found = generate(place.path(), &arguments).expect(0).json();
    for (file, seed) in found["files"].as_array().expect("a list").iter().zip([1, 2]) {
        let expected = json!({
            "file": format!("stride-{seed}.png"), "seed": seed, "prompt": "a man", "steps": 6, "cfg_scale": 1.0,
        });
        assert_eq!(*file, expected);
    }
    assert_eq!(found["files"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["model"], "tiny");
    assert_eq!(found["strip"], "s.png");
    for part in ["load", "generate", "write", "total"] {
        assert!(found["timings_ms"][part].as_f64().is_some_and(|time| time >= 0.0), "{part}");
    }
}

#[test]
fn bf16_is_recorded_and_changes_the_image_a_little() {
    let place = workplace();
    let draw = |dtype, file| {
        let arguments = ["a man", "--seed", "1", "--dtype", dtype, "-o", file];
        generate(place.path(), &arguments).expect(0);
        let json: Value =
            serde_json::from_str(&metadata(&place.path().join(file)).json.expect("is there"))
                .expect("is JSON");
        assert_eq!(json["dtype"], dtype);
        fs::read(place.path().join(file)).expect("is there")
    };
    assert_ne!(draw("f32", "full.png"), draw("bf16", "half.png"));
}

#[test]
fn without_a_seed_one_is_drawn_and_told() {
    let place = workplace();
    let seeds = [0, 1].map(|_| {
        let run = generate(place.path(), &["a man", "--json"]).expect(0);
        let seed = run.json()["files"][0]["seed"].as_u64().expect("a number");
        run.says(&[&format!("seed {seed}")]);
        assert!(place.path().join(format!("stride-{seed}.png")).is_file());
        seed
    });
    assert_ne!(seeds[0], seeds[1]);
}

#[test]
fn a_strip_shows_all_or_some_steps_of_every_image() {
    let place = workplace();
    let strip = place.path().join("s.png");
    let side = SIDE as u32;
    let base = ["a man", "--seed", "3", "--steps", "5", "-o", "a.png", "--strip", "s.png"];
    generate(place.path(), &base).expect(0);
    assert_eq!(sides(&strip), [5 * side + 4 * 2, side]);
    let some = [&base[..], &["--count", "2", "--strip-steps", "1,2,5"]].concat();
    generate(place.path(), &some).expect(0);
    assert_eq!(sides(&strip), [3 * side + 2 * 2, 2 * side + 2]);
    // The model's own step count is known later, but the answer is the same.
    let beyond = ["a man", "--strip", "t.png", "--strip-steps", "4"];
    generate(place.path(), &beyond).expect(2).says(&["1..=3"]);
    assert!(!place.path().join("t.png").exists());
}

#[test]
fn any_step_count_works_and_changes_the_image() {
    let place = workplace();
    let images: Vec<_> = ["1", "3", "4", "128"]
        .iter()
        .map(|steps| {
            let file = format!("{steps}.png");
            let arguments =
                ["a man", "--seed", "3", "--steps", steps, "-o", &file, "--disable-image-metadata"];
            generate(place.path(), &arguments).expect(0);
            fs::read(place.path().join(file)).expect("a file")
        })
        .collect();
    for (i, image) in images.iter().enumerate() {
        assert!(!images[..i].contains(image), "two step counts gave the same image");
    }
}

#[test]
fn the_empty_prompt_works_without_a_warning() {
    let place = workplace();
    let run = generate(place.path(), &["", "--seed", "1", "-o", "a.png"]).expect(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
    let parameters = metadata(&place.path().join("a.png")).parameters.expect("text");
    assert!(parameters.starts_with("\nSteps: "), "{parameters}");
}

#[test]
fn words_the_model_never_saw_are_named_once() {
    let place = workplace();
    let prompt = "a zyzzyva with glasses and another zyzzyva";
    let run = generate(place.path(), &[prompt, "--seed", "1"]).expect(0);
    let warnings: Vec<_> = run.stderr.lines().filter(|line| line.contains("never saw")).collect();
    assert_eq!(warnings.len(), 1, "{}", run.stderr);
    assert_eq!(warnings[0].matches("zyzzyva").count(), 1);
    assert!(warnings[0].contains("another") && !warnings[0].contains("glasses"), "{}", warnings[0]);
}

#[test]
fn near_spellings_are_suggested_and_weights_have_no_effect() {
    let place = workplace();
    let typed = ["a man with ((glases:1.2)) and a cat", "--seed", "1", "-o", "a.png"];
    let run = generate(place.path(), &typed).expect(0).says(&["glases (did you mean glasses?)"]);
    assert!(run.stderr.contains("cat") && !run.stderr.contains("mean hat"), "{}", run.stderr);

    let weighted = ["a man with (glasses:1.3)", "--seed", "1", "-o", "weighted.png"];
    generate(place.path(), &weighted)
        .expect(0)
        .says(&["have no effect; the prompt is read as: a man with glasses"]);
    let plain = ["a man with glasses", "--seed", "1", "-o", "plain.png"];
    let run = generate(place.path(), &plain).expect(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
    let pixels = |name: &str| image::open(place.path().join(name)).expect("an image").into_rgb8();
    assert_eq!(pixels("weighted.png"), pixels("plain.png"));
    let parameters = metadata(&place.path().join("weighted.png")).parameters.expect("text");
    assert!(parameters.starts_with("a man with (glasses:1.3)\n"), "as typed: {parameters}");

    let lines = ["a man\nNegative prompt: beard", "--seed", "1", "-o", "lines.png"];
    generate(place.path(), &lines).expect(0);
    let parameters = metadata(&place.path().join("lines.png")).parameters.expect("text");
    assert!(!parameters.contains("\nNegative prompt:"), "{parameters}");
}

#[test]
fn a_long_prompt_is_cut_with_a_warning() {
    let place = workplace();
    let long = "man ".repeat(80);
    generate(place.path(), &[&long, "--seed", "1"])
        .expect(0)
        .says(&["too long", "last 5 tokens are left out: man man"]);
    let fits = "man ".repeat(75);
    let run = generate(place.path(), &[&fits, "--seed", "1"]).expect(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
}

#[test]
fn strange_prompts_never_panic() {
    let place = workplace();
    for prompt in
        ["😀 眼鏡", "<|endoftext|>", "\u{202e}\u{feff}", "a\nb: c, d", &"x".repeat(50_000)]
    {
        generate(place.path(), &[prompt, "--seed", "1", "-o", "a.png"]).expect(0);
        assert!(
            metadata(&place.path().join("a.png")).parameters.expect("text").starts_with(prompt)
        );
    }
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_any_work() {
    let place = workplace();
    // Without its weights the model cannot be loaded, so an error about them would come from later.
    fs::remove_file(in_model(&place, TRANSFORMER_WEIGHTS)).expect("removable");
    let missing = ["nowhere/a.png", "model/model_index.json/a.png"];
    for path in missing {
        for option in ["-o", "--strip"] {
            generate(place.path(), &["a man", option, path]).expect(1).says(&[
                "error: ",
                path,
                "create it",
            ]);
        }
    }
    generate(place.path(), &["a man", "-o", "model"]).expect(1).says(&["model", "it is a folder"]);
    let several = ["a man", "-o", "nowhere/a.png", "--count", "3"];
    generate(place.path(), &several).expect(1).says(&["nowhere/a-0.png"]);
    assert_eq!(names_in(place.path()), ["model"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_found_before_any_work() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = workplace();
    let folder = place.path().join("locked");
    fs::create_dir(&folder).expect("writable");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("allowed");
    let run = generate(place.path(), &["a man", "-o", "locked/a.png"]);
    // The system lets its administrator write everywhere.
    if run.code == Some(0) {
        assert_eq!(names_in(&folder), ["a.png"]);
    } else {
        run.expect(1).says(&["locked/a.png", "make the folder writable"]);
    }
}

#[test]
fn damaged_weights_are_named_with_file_and_tensor() {
    let place = workplace();
    let path = in_model(&place, TRANSFORMER_WEIGHTS);
    let whole = fs::read(&path).expect("a file");
    for length in [0, 5, 8, 100, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("writable");
        generate(place.path(), &["a man", "-o", "a.png"])
            .expect(1)
            .says(&["error: ", TRANSFORMER_WEIGHTS]);
    }
    fs::write(&path, &whole).expect("writable");

    let name = "text_encoder/model.safetensors";
    let text_weights = fs::read(in_model(&place, name)).expect("a file");
    fs::write(in_model(&place, name), &whole).expect("writable");
    generate(place.path(), &["a man", "-o", "a.png"]).expect(1).says(&[name, "tensor "]);
    fs::write(in_model(&place, name), text_weights).expect("writable");

    edit_json(&place, "transformer/config.json", |config| config["hidden_size"] = json!(64));
    generate(place.path(), &["a man", "-o", "a.png"]).expect(1).says(&[
        TRANSFORMER_WEIGHTS,
        "tensor ",
        "expected shape",
    ]);
    assert_eq!(names_in(place.path()), ["model"]);
}

#[test]
fn a_broken_model_folder_is_an_error_that_names_the_file() {
    let place = workplace();
    run(place.path(), &["generate", "a man", "--model", "nowhere"])
        .expect(1)
        .says(&["nowhere", "--model"]);
    for name in stride::pipeline::FILE_NAMES {
        let path = in_model(&place, name);
        let whole = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("removable");
        generate(place.path(), &["a man"]).expect(1).says(&["error: cannot read", name]);
        fs::write(&path, b"\xff not what it should be").expect("writable");
        generate(place.path(), &["a man"]).expect(1).says(&["error: cannot use the model", name]);
        fs::write(&path, whole).expect("writable");
    }
    for (name, field, value) in [
        ("vae/config.json", "encoder_pixel_shuffle", json!(0)),
        ("vae/config.json", "latent_channels", json!(8)),
        ("vae/config.json", "encoder_block_out_channels", json!(vec![1; 100])),
        ("text_encoder/config.json", "max_position_embeddings", json!(5)),
        ("text_encoder/config.json", "hidden_size", json!(0)),
        ("transformer/config.json", "input_size", json!(0)),
        ("transformer/config.json", "patch_size", json!(0)),
        ("model_index.json", "default_steps", json!(0)),
        ("model_index.json", "_class_name", json!("StableDiffusionPipeline")),
    ] {
        let path = in_model(&place, name);
        let whole = fs::read(&path).expect("a file");
        edit_json(&place, name, |config| config[field] = value);
        generate(place.path(), &["a man"]).expect(1).says(&["error: "]);
        fs::write(&path, whole).expect("writable");
    }
    generate(place.path(), &["a man", "-o", "a.png"]).expect(0);
}

#[test]
fn weights_in_shards_or_of_a_variant_draw_the_same_image() {
    let place = workplace();
    let draw = |name: &str| {
        generate(place.path(), &["a man", "--seed", "3", "--disable-image-metadata", "-o", name])
            .expect(0);
        fs::read(place.path().join(name)).expect("a file")
    };
    let plain = draw("plain.png");
    for name in stride::pipeline::FILE_NAMES.iter().filter(|name| name.ends_with(".safetensors")) {
        let variant = name.replace(".safetensors", ".fp16.safetensors");
        fs::rename(in_model(&place, name), in_model(&place, &variant)).expect("movable");
    }
    assert_eq!(draw("variant.png"), plain);
    for name in stride::pipeline::FILE_NAMES.iter().filter(|name| name.ends_with(".safetensors")) {
        let variant = name.replace(".safetensors", ".fp16.safetensors");
        split_into_shards(&in_model(&place, &variant), &in_model(&place, name));
    }
    assert_eq!(draw("sharded.png"), plain);
    let weights = in_model(&place, "vae/diffusion_pytorch_model-00002-of-00002.safetensors");
    fs::remove_file(weights).expect("there");
    generate(place.path(), &["a man"]).expect(1).says(&["00002-of-00002", "missing"]);
}

#[cfg(not(feature = "embedded-model"))]
#[test]
fn without_a_model_inside_one_must_be_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(folder.path(), &["generate", "a man"]).expect(1).says(&["--model DIR", "embedded-model"]);
    assert!(names_in(folder.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn an_interruption_keeps_what_is_done() {
    let place = workplace();
    let arguments = [
        "generate",
        "--model",
        "model",
        "a man",
        "--steps",
        "128",
        "--count",
        "700",
        "-o",
        "a.png",
        "--strip",
        "s.png",
        "--strip-steps",
        "1,128",
    ];
    let mut command = crate::program::command(place.path(), &arguments);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let program = command.spawn().expect("the program starts");
    while !place.path().join("a-1.png").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let kill =
        std::process::Command::new("kill").args(["-INT", &program.id().to_string()]).status();
    assert!(kill.expect("the system has kill").success());
    let output = program.wait_with_output().expect("ends");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{said}");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let told: Vec<&str> = told.lines().collect();
    assert!((2..700).contains(&told.len()), "{told:?}");
    let expected = format!("interrupted; {} of 700 images were written, and no strip", told.len());
    assert!(said.contains(&expected), "{said}");
    let names = names_in(place.path());
    assert_eq!(names.len(), told.len() + 1, "{names:?}");
    // Each is whole.
    for file in told {
        assert_eq!(sides(&place.path().join(file)), [SIDE as u32; 2]);
        assert!(metadata(&place.path().join(file)).json.is_some());
    }
}

#[cfg(unix)]
#[test]
fn outputs_that_nobody_reads_stop_nothing() {
    use std::process::Stdio;

    let place = workplace();
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").expect("Linux"));
    let start = |file: &str, stdout: Stdio, stderr: Stdio| {
        let arguments = ["generate", "--model", "model", "a man", "zyzzyva", "-o", file];
        let mut command = crate::program::command(place.path(), &arguments);
        let status = command.stdout(stdout).stderr(stderr).status().expect("the program starts");
        assert!(place.path().join(file).is_file(), "{file}");
        status.code()
    };
    assert_eq!(start("a.png", Stdio::null(), closed()), Some(0));
    assert_eq!(start("b.png", closed(), closed()), Some(0));
    if cfg!(target_os = "linux") {
        assert_eq!(start("c.png", Stdio::null(), full()), Some(0));
        // Results that cannot be written are a failure, but no crash.
        assert_eq!(start("d.png", full(), Stdio::null()), Some(1));
        assert_eq!(start("e.png", full(), full()), Some(1));
    }
    let mut inspect = crate::program::command(place.path(), &["inspect", "model"]);
    let output = inspect.stdout(closed()).output().expect("the program starts");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    let mut train = crate::program::command(place.path(), &["train", "--config", "nowhere.toml"]);
    assert_eq!(train.stderr(closed()).status().expect("the program starts").code(), Some(1));
}

#[test]
fn overwriting_is_told_or_refused() {
    let place = workplace();
    let draw = |arguments: &[&str]| {
        generate(place.path(), &[&["a man", "-o", "a.png"], arguments].concat())
    };
    assert!(!draw(&["--seed", "1"]).expect(0).stderr.contains("overwrites"));
    draw(&["--seed", "2"]).expect(0).says(&["overwrites a.png"]);
    let before = fs::read(place.path().join("a.png")).expect("there");
    draw(&["--seed", "3", "--no-clobber"]).expect(1).says(&["a.png: exists already"]);
    assert_eq!(fs::read(place.path().join("a.png")).expect("there"), before);
    draw(&["--count", "2", "--no-clobber"]).expect(0);
    draw(&["--count", "3"]).expect(0).says(&["overwrites a-0.png and 1 more"]);
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_pipes_and_devices_are_not_replaced() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    let place = workplace();
    let at = |name: &str| place.path().join(name);
    symlink("real.png", at("link.png")).expect("writable");
    generate(place.path(), &["a man", "-o", "link.png"]).expect(0);
    assert!(at("link.png").is_symlink() && at("real.png").is_file());
    let both = ["a man", "-o", "link.png", "--strip", "real.png"];
    generate(place.path(), &both).expect(2).says(&["one file"]);

    let status = std::process::Command::new("mkfifo").arg(at("pipe.png")).status();
    assert!(status.expect("the system has mkfifo").success());
    symlink("/dev/null", at("null.png")).expect("writable");
    for name in ["pipe.png", "null.png"] {
        generate(place.path(), &["a man", "-o", name]).expect(1).says(&[name, "a pipe or device"]);
    }
    assert!(fs::metadata(at("pipe.png")).expect("there").file_type().is_fifo());
}

#[test]
fn the_folder_around_a_model_suggests_the_model() {
    let place = workplace();
    let run = run(place.path(), &["generate", "a man", "--model", "."]).expect(1);
    run.says(&["model inside", "use ./model"]);
}

#[test]
fn the_last_seed_works() {
    let place = workplace();
    let last = u64::MAX.to_string();
    let run = generate(place.path(), &["a man", "--seed", &last, "--json"]).expect(0);
    assert_eq!(run.json()["files"][0]["seed"], u64::MAX);
    let before = (u64::MAX - 1).to_string();
    generate(place.path(), &["a man", "--seed", &before, "--count", "2"]).expect(0);
    assert!(place.path().join(format!("stride-{last}.png")).is_file());
}
