//! `stride train`.

use std::fs;
use std::path::{Path, PathBuf};

use stride::image::{PngMetadata, RgbImage, png_bytes};
#[cfg(unix)]
use stride_files::FolderLock;
use tempfile::TempDir;

use crate::program::{Run, names_in, run};
#[cfg(unix)]
use crate::program::{Running, command};

/// A small autoencoder on the images of `data`.
pub(crate) const CONFIG: &str = r#"
kind = "vae"
run_dir = "run"
[data]
dir = "data"
resolution = 16
held_out = 2
[training.budget]
max_steps = 2
[vae]
batch_size = 2
crop_size = 16
[vae.model]
_class_name = "AutoencoderTiny"
encoder_block_out_channels = [8, 8]
decoder_block_out_channels = [8, 8]
num_encoder_blocks = [1, 1]
num_decoder_blocks = [1, 1]
"#;

/// A folder with a configuration and a few images.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("writable");
    let mut lines = String::new();
    for k in 0..6u8 {
        let pixels = (0..16 * 16 * 3).map(|i| (i % 251) as u8 ^ (k * 40)).collect();
        let image = RgbImage { width: 16, height: 16, pixels };
        let bytes = png_bytes(&image, &PngMetadata::default()).expect("writable");
        fs::write(data.join(format!("{k}.png")), bytes).expect("writable");
        lines += &format!("{{\"file_name\": \"{k}.png\", \"text\": \"a man\"}}\n");
    }
    fs::write(data.join("metadata.jsonl"), lines).expect("writable");
    fs::write(folder.path().join("run.toml"), CONFIG).expect("writable");
    folder
}

fn checkpoints(run_dir: &Path) -> Vec<String> {
    names_in(run_dir).into_iter().filter(|name| name.starts_with("checkpoint-")).collect()
}

#[test]
fn a_dry_run_says_what_a_run_would_be_and_leaves_nothing() {
    let place = workplace();
    let before = names_in(place.path());
    let run = run(place.path(), &["train", "--config", "run.toml", "--dry-run"]).expect(0);
    for part in [
        "M parameters",
        "2 rows a step",
        "hours in all for 2 steps",
        "GB of memory",
        "loss",
        "keep_checkpoints = 3",
        "M  decoder.",
    ] {
        assert!(run.stdout.contains(part), "{}", run.stdout);
    }
    assert_eq!(names_in(place.path()), before);
}

/// A dry run's estimates are within a quarter of what then happens.
#[test]
#[cfg(target_os = "linux")]
fn a_dry_run_foretells_memory_and_where_the_machine_is_quiet_time() {
    let place = workplace();
    let larger =
        ["--set", "vae.batch_size=64", "--set", "vae.model.encoder_block_out_channels=[32, 32]"];
    let number = |text: &str, end: &str| -> f64 {
        let before = text.split(end).next().expect("some text");
        let word = before.trim_end().rsplit(' ').next().expect("a word");
        word.parse().unwrap_or_else(|_| panic!("{word:?} before {end:?} in {text}"))
    };
    let dry = run(place.path(), &[&TRAIN[..], &larger, &["--dry-run"]].concat()).expect(0);
    let real = train_to(place.path(), 40, &larger).expect(0);
    let (foretold, found) =
        (number(&dry.stdout, " GB of memory"), number(&real.stderr, " GB of memory"));
    println!("{foretold} GB foretold, {found} found");
    assert!((foretold - found).abs() <= 0.25 * found, "{foretold} GB foretold, {found} found");
    if std::env::var_os("RUN_SLOW_TESTS").is_some() {
        let foretold = 400.0 * number(&dry.stdout, " s a step");
        let steps = ["--run-dir", "long", "--set", "training.output.report_every_seconds=1e9"];
        let real = train_to(place.path(), 400, &[&larger[..], &steps].concat()).expect(0);
        let found = number(real.stderr.split("steps in ").last().expect("the end"), " s");
        println!("{foretold} s foretold, {found} found");
        assert!((foretold - found).abs() <= 0.25 * found, "{foretold} s foretold, {found} found");
    }
}

#[test]
fn a_dry_run_makes_no_latents_but_says_how_long_they_take() {
    let place = crate::compare::place();
    let config = crate::compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), config).expect("writable");
    let before = contents(place.path());
    let dry = [&TRAIN[..], &["--dry-run"]].concat();
    let first = run(place.path(), &dry).expect(0).says(&["the latents of 12 images would take"]);
    assert_eq!(contents(place.path()), before);
    // With latents that are there it is the same network, and nothing is said of them.
    run(place.path(), &TRAIN).expect(0);
    let second = run(place.path(), &dry).expect(0);
    assert!(!second.stderr.contains("would take"), "{}", second.stderr);
    let parameters = |run: &Run| {
        let at = run.stdout.find("M parameters").expect("a number");
        run.stdout[..at].rsplit('\n').next().map(str::to_owned)
    };
    assert_eq!(parameters(&first), parameters(&second));
}

#[test]
fn a_run_trains_and_goes_on() {
    let place = workplace();
    let run_dir = place.path().join("elsewhere");
    let base = ["train", "--config", "run.toml", "--run-dir", "elsewhere"];
    let first = run(place.path(), &base).expect(0).says(&["2 steps"]);
    assert_eq!(first.stdout, "");
    assert_eq!(checkpoints(&run_dir), ["checkpoint-000002"]);
    let more =
        [&base[..], &["--set", "training.budget.max_steps=3", "--resume", "latest"]].concat();
    run(place.path(), &more).expect(0).says(&["3 steps"]);
    assert!(checkpoints(&run_dir).contains(&"checkpoint-000003".to_owned()));
    assert!(!place.path().join("run").exists());
}

#[test]
fn wrong_settings_are_named() {
    let place = workplace();
    let base = ["train", "--config", "run.toml"];
    run(place.path(), &["train"]).expect(2).says(&["--config"]);
    run(place.path(), &["train", "--config", "nowhere.toml"])
        .expect(1)
        .says(&["error: ", "nowhere.toml"]);
    for (arguments, expected) in [
        (["--set", "vae.no_such_thing=1"], "no_such_thing"),
        (["--set", "novalue"], "key=value"),
        (["--set", "data.dir=nowhere"], "nowhere"),
        (["--resume", "latest"], "no complete checkpoint"),
    ] {
        run(place.path(), &[&base[..], &arguments].concat()).expect(1).says(&["error: ", expected]);
    }
}

const TRAIN: [&str; 3] = ["train", "--config", "run.toml"];

/// Trains to a number of steps.
fn train_to(place: &Path, max_steps: u64, more: &[&str]) -> Run {
    let budget = format!("training.budget.max_steps={max_steps}");
    run(place, &[&TRAIN[..], &["--set", &budget], more].concat())
}

/// Paths and contents of all files below a folder, sorted.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for name in names_in(dir) {
        let path = dir.join(name);
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = fs::read(&path).expect("readable");
            found.push((path, bytes));
        }
    }
    found
}

#[test]
fn sizes_beyond_any_machine_are_named() {
    let place = crate::compare::place();
    let config = crate::compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), config).expect("writable");
    let before = names_in(place.path());
    for (setting, bound) in [
        ("dit.model.mlp_ratio=1e300", "from 1 to 262144"),
        ("dit.model.mlp_ratio=1e-300", "from 1 to 262144"),
        ("dit.text_encoder.num_hidden_layers=4611686018427387904", "at most 1024"),
        ("dit.text_encoder.vocab_size=4611686018427387904", "at most 4194304"),
        ("dit.batch_size=1000000000", "1 to 65536"),
        ("dit.batch_size=4611686018427387904", "1 to 65536"),
        ("dit.model.depth=100000", "at most 1024"),
        ("dit.model.hidden_size=1000000", "at most 65536"),
        ("dit.model.input_size=4611686018427387904", "at most 16384"),
        ("data.resolution=4611686018427387904", "1 to 16384"),
        ("data.held_out=9223372036854775807", "images beside data.held_out"),
        ("training.budget.max_steps=0", "at least 1"),
        ("dit.default_steps=129", "1 to 128"),
        ("dit.default_cfg_scale=nan", "0 to 100"),
        ("optimizer.learning_rate=inf", "positive and finite"),
        ("optimizer.muon_learning_rate=-1.0", "positive and finite"),
        ("optimizer.lr_factors={dit = nan}", "finite"),
        ("training.output.checkpoint_every_seconds=nan", "at least 0"),
    ] {
        let key = setting.split('=').next().and_then(|key| key.rsplit('.').next());
        let key = key.expect("a key");
        run(place.path(), &[&TRAIN[..], &["--set", setting]].concat())
            .expect(1)
            .says(&["error: ", key, bound]);
    }
    for decay in ["7", "1", "1.0", "inf", "-1", "nan", "{gamma = -2}", "{gamma = inf}"] {
        let ema = format!("ema=[{{name = \"teacher\", decay = {decay}}}]");
        run(place.path(), &[&TRAIN[..], &["--set", &ema]].concat()).expect(1).says(&["ema"]);
    }
    let twice = r#"ema=[{name = "a", decay = 0.5}, {name = "a", decay = 0.9}]"#;
    run(place.path(), &[&TRAIN[..], &["--set", twice]].concat()).expect(1).says(&["ema.name"]);
    assert_eq!(names_in(place.path()), before);

    let place = workplace();
    for (setting, bound) in [
        ("vae.batch_size=1000000000", "1 to 65536"),
        ("vae.model.latent_channels=4611686018427387904", "at most 65536"),
        ("vae.model.num_encoder_blocks=[1, 4611686018427387904]", "at most 1024"),
        ("vae.model.encoder_block_out_channels=[8, 1000000]", "at most 65536"),
        ("vae.model.in_channels=4", "expected 3"),
        ("vae.latent_noise=inf", "finite"),
        ("vae.loss.l1=nan", "finite"),
    ] {
        let key = setting.split('=').next().expect("a key");
        run(place.path(), &[&TRAIN[..], &["--set", setting]].concat()).expect(1).says(&[
            "error: ",
            key.rsplit('.').next().expect("a key"),
            bound,
        ]);
    }
}

#[test]
fn the_setting_that_is_wrong_is_blamed() {
    let place = workplace();
    let refused = |settings: &[&str], parts: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = TRAIN.into_iter().chain(settings).collect();
        let run = run(place.path(), &arguments).expect(1).says(parts);
        assert!(!run.stderr.contains("run.toml"), "{}", run.stderr);
    };
    refused(&["vae.batch_size=0"], &["error: --set vae.batch_size=0: "]);
    refused(&["vae.no_such=1"], &["error: --set vae.no_such=1: ", "unknown field"]);
    refused(&["seed=3", "vae.batch_size=x"], &["error: --set vae.batch_size=x: "]);
    let both = ["vae.no_such=1", "optimizer.no_other=2"];
    refused(&both, &["error: --set "]);
    // A wrong file is blamed itself.
    let wrong = CONFIG.replace("held_out = 2", "held_out = 0");
    fs::write(place.path().join("run.toml"), wrong).expect("writable");
    let run = run(place.path(), &[&TRAIN[..], &["--set", "seed=3"]].concat());
    run.expect(1).says(&["error: run.toml: data.held_out"]);
}

#[test]
fn what_a_configuration_names_is_found_from_any_folder() {
    let place = workplace();
    let elsewhere = place.path().join("else/where");
    fs::create_dir_all(&elsewhere).expect("writable");
    fs::create_dir(place.path().join("configs")).expect("writable");
    fs::rename(place.path().join("run.toml"), place.path().join("configs/run.toml"))
        .expect("there");
    let base = ["train", "--config", "../../configs/run.toml"];
    run(&elsewhere, &base).expect(0).says(&["data is "]);
    // What is written goes to the working directory; and it is the same run from another one.
    assert_eq!(checkpoints(&elsewhere.join("run")), ["checkpoint-000002"]);
    let more = ["--resume", "else/where/run", "--set", "training.budget.max_steps=3"];
    let back = ["train", "--config", "configs/run.toml"];
    run(place.path(), &[&back[..], &more].concat()).expect(0).says(&["3 steps"]);
}

#[test]
fn a_new_run_in_a_used_folder_is_refused() {
    let place = workplace();
    let run_dir = place.path().join("run");
    train_to(place.path(), 3, &[]).expect(0);
    fs::write(run_dir.join("notes.txt"), "mine").expect("writable");
    let before = contents(&run_dir);
    let hints = ["holds a run with a checkpoint of step 3", "--resume latest", "--overwrite"];
    train_to(place.path(), 2, &[]).expect(1).says(&hints);
    // Without its checkpoints it is a run still, which `auto` must not take for none.
    fs::rename(run_dir.join("checkpoint-000003"), place.path().join("away")).expect("there");
    train_to(place.path(), 2, &[]).expect(1).says(&["holds a run;"]);
    train_to(place.path(), 2, &["--resume", "auto"]).expect(1).says(&["holds a run;"]);
    fs::rename(place.path().join("away"), run_dir.join("checkpoint-000003")).expect("there");
    assert_eq!(contents(&run_dir), before);

    // A new run that fails gives up nothing yet.
    let overwrite = ["--overwrite", "--set", "data.dir=nowhere"];
    train_to(place.path(), 2, &overwrite).expect(1);
    assert_eq!(contents(&run_dir), before);
    train_to(place.path(), 2, &["--overwrite"]).expect(0);
    assert_eq!(checkpoints(&run_dir), ["checkpoint-000002"]);
    let samples = names_in(&run_dir.join("samples"));
    assert_eq!(samples, ["reconstruction-000002.png"]);
    assert_eq!(fs::read_to_string(run_dir.join("notes.txt")).expect("kept"), "mine");
}

#[test]
fn auto_begins_and_goes_on() {
    let place = workplace();
    let run_dir = place.path().join("run");
    train_to(place.path(), 2, &["--resume", "auto"]).expect(0);
    train_to(place.path(), 4, &["--resume", "auto"]).expect(0).says(&["at step 2", "4 steps"]);
    // A run folder stands for its latest checkpoint, and the run goes on in it.
    let elsewhere = place.path().join("elsewhere");
    fs::rename(&run_dir, &elsewhere).expect("there");
    let run = train_to(place.path(), 5, &["--resume", "elsewhere"]).expect(0);
    run.says(&["at step 4", "5 steps", "elsewhere/checkpoint-000005"]);
    assert!(!run_dir.exists());
    // From a checkpoint another run may begin.
    train_to(place.path(), 5, &["--resume", "elsewhere/checkpoint-000004"]).expect(0);
    assert_eq!(checkpoints(&run_dir), ["checkpoint-000005"]);
    let before = contents(&elsewhere);
    let back = ["--run-dir", "elsewhere", "--resume", "run/checkpoint-000005"];
    train_to(place.path(), 6, &back).expect(1).says(&["holds a run"]);
    assert_eq!(contents(&elsewhere), before);
}

#[test]
fn going_back_does_not_mix_two_runs() {
    let place = workplace();
    let run_dir = place.path().join("run");
    for steps in [2, 3, 4] {
        train_to(place.path(), steps, &["--resume", "auto"]).expect(0);
    }
    let back = ["--resume", "run/checkpoint-000002", "--set", "training.output.keep_checkpoints=1"];
    train_to(place.path(), 3, &back).expect(1).says(&["later checkpoint, of step 4"]);
    assert_eq!(checkpoints(&run_dir).len(), 3);
    train_to(place.path(), 3, &[&back[..], &["--overwrite"]].concat()).expect(0);
    assert_eq!(checkpoints(&run_dir), ["checkpoint-000003"]);
}

#[test]
fn another_run_is_not_gone_on_with() {
    let place = workplace();
    train_to(place.path(), 2, &[]).expect(0);
    let before = contents(&place.path().join("run"));
    let resume = |setting: &str, more: &[&str]| {
        let arguments = [&["--resume", "latest", "--set", setting], more].concat();
        train_to(place.path(), 3, &arguments)
    };
    for (setting, expected) in [
        ("data.held_out=3", "data.held_out = 2, not 3"),
        ("optimizer.kind=muon", "optimizer.kind = \"adamw\", not \"muon\""),
        ("vae.model.scaling_factor=2.0", "vae.model.scaling_factor = 1.0, not 2.0"),
    ] {
        resume(setting, &[]).expect(1).says(&[expected, "--allow-changes"]);
    }
    assert_eq!(contents(&place.path().join("run")), before);
    // The same folder by another name is the same data.
    let data = format!("data.dir={}", place.path().join("data").display());
    let run = resume("optimizer.learning_rate=0.5", &["--set", &data]).expect(0);
    let run = run.says(&["optimizer.learning_rate = 0.001, not 0.5", "max_steps = 2, not 3"]);
    assert!(!run.stderr.contains("data.dir"), "{}", run.stderr);
    resume("data.held_out=3", &["--allow-changes"]).expect(0).says(&["data.held_out = 2, not 3"]);
}

#[test]
fn a_failed_start_leaves_no_folder() {
    let place = workplace();
    let before = names_in(place.path());
    for setting in ["data.dir=nowhere", "data.held_out=6", "vae.crop_size=8"] {
        let run_dir = ["--run-dir", "new/deep/run", "--set", "vae.model.encoder_pixel_shuffle=16"];
        train_to(place.path(), 2, &[&["--set", setting], &run_dir[..]].concat()).expect(1);
        assert_eq!(names_in(place.path()), before, "{setting}");
    }
    // A checkpoint that does not fit the network begins no run either.
    train_to(place.path(), 2, &[]).expect(0);
    let other = [
        "--run-dir",
        "new/run",
        "--resume",
        "run/checkpoint-000002",
        "--allow-changes",
        "--set",
        "vae.model.latent_channels=8",
    ];
    train_to(place.path(), 3, &other).expect(1);
    assert!(!place.path().join("new").exists());
}

#[cfg(unix)]
#[test]
fn two_trainings_exclude_each_other() {
    let place = workplace();
    let lock = FolderLock::try_acquire(&place.path().join("run")).expect("writable");
    train_to(place.path(), 2, &[]).expect(1).says(&["another process trains in this folder"]);
    drop(lock);
    train_to(place.path(), 2, &[]).expect(0);
}

/// A long run whose steps have begun.
#[cfg(unix)]
fn begun(place: &Path, run_dir: &str) -> Running {
    let settings = ["--set", "training.budget.max_steps=1000000"];
    let mut running =
        Running::start(command(place, &[&TRAIN[..], &["--run-dir", run_dir], &settings].concat()));
    running.wait_for("step ");
    running
}

#[cfg(unix)]
#[test]
fn an_interruption_saves_a_checkpoint() {
    let place = workplace();
    for signal in ["INT", "TERM"] {
        let running = begun(place.path(), signal);
        running.send(signal);
        let (code, rest) = running.end();
        assert_eq!(code, Some(0), "{rest}");
        assert!(rest.contains("--resume latest"), "{rest}");
        let run_dir = place.path().join(signal);
        assert_eq!(checkpoints(&run_dir).len(), 1);
        assert!(!run_dir.join("model").exists(), "the run has not come to its end");
    }
}

/// The first signal waits for the step, which may be a long one; the second does not.
#[cfg(unix)]
#[test]
fn a_second_interruption_ends_a_run_at_once() {
    let place = workplace();
    let long = ["--run-dir", "long", "--set", "vae.batch_size=16384"];
    let settings = ["--set", "training.budget.max_steps=1000000"];
    let mut running =
        Running::start(command(place.path(), &[&TRAIN[..], &long, &settings].concat()));
    running.wait_for("step ");
    running.send("INT");
    running.send("TERM");
    // Threads may meet them in either order.
    let (code, rest) = running.end();
    assert!(matches!(code, Some(130 | 143)), "{code:?}: {rest}");
    assert_eq!(checkpoints(&place.path().join("long")).len(), 0);
}

/// A limit on the size of files refuses them as a full disk does, in the middle of a file.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_checkpoint_that_was_there() {
    let place = workplace();
    train_to(place.path(), 2, &[]).expect(0);
    train_to(place.path(), 4, &["--run-dir", "whole"]).expect(0);
    let run_dir = place.path().join("run");
    let names = names_in(&run_dir);
    let before = contents(&run_dir.join("checkpoint-000002"));
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" train --config run.toml --resume latest \
                  --set training.budget.max_steps=4";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_stride")]).current_dir(place.path());
    let output = shell.output().expect("the system has sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let parts = [
        "step 4 is not saved",
        "checkpoint-000002 is whole and stays",
        "--resume latest",
        "too large",
    ];
    for part in parts {
        assert!(said.contains(part), "expected {part:?} in:\n{said}");
    }
    assert_eq!(names_in(&run_dir), names, "nothing is left of what was not saved");
    assert!(contents(&run_dir.join("checkpoint-000002")) == before);
    train_to(place.path(), 4, &["--resume", "latest"]).expect(0);
    for file in ["model.safetensors", "optimizer.safetensors"] {
        let read =
            |run: &str| fs::read(place.path().join(run).join("checkpoint-000004").join(file));
        assert!(read("run").expect("saved") == read("whole").expect("saved"), "{file}");
    }
}

/// When its terminal goes away a run ends as after Ctrl-C, unless `nohup` or its like started it.
#[cfg(target_os = "linux")]
#[test]
fn a_hangup_saves_a_checkpoint() {
    let place = workplace();
    let script = "trap '' HUP; exec \"$0\" train --config run.toml --run-dir deaf \
                  --set training.budget.max_steps=1000000";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_stride")]).current_dir(place.path());
    let mut deaf = Running::start(shell);
    deaf.wait_for("step ");
    deaf.send("HUP");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(deaf.is_running());
    deaf.send("TERM");
    assert_eq!(deaf.end().0, Some(0));

    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
    if u64::from_str_radix(mask.trim(), 16).expect("a mask") & 1 == 1 {
        // These tests themselves run under nohup, and so does what they start.
        return;
    }
    let running = begun(place.path(), "heard");
    running.send("HUP");
    let (code, rest) = running.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(!checkpoints(&place.path().join("heard")).is_empty());
}
