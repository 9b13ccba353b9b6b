//! `stride generate`: several prompts, formats, sheets, animations, and images to begin with.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use image::AnimationDecoder as _;
use serde_json::Value;
use stride::image::{ImageFormat, read_image_file};

use crate::model::{SIDE, workplace};
use crate::program::{Run, command, names_in, run};

/// Runs `stride generate` with the tiny model.
fn generate(folder: &Path, arguments: &[&str]) -> Run {
    run(folder, &[&["generate", "--model", "model"], arguments].concat())
}

fn pixels(path: &Path) -> image::RgbImage {
    image::open(path).expect("an image").into_rgb8()
}

#[test]
fn the_ending_or_a_flag_decides_the_format_and_every_format_is_inspected() {
    let place = workplace();
    let arguments = ["a man 眼鏡", "-s", "7", "-n", "hat", "--cfg-scale", "2", "-o"];
    for (name, more, format) in [
        ("a.png", &[][..], ImageFormat::Png),
        ("a.jpg", &["--quality", "95"], ImageFormat::Jpeg),
        ("a.webp", &[], ImageFormat::Webp),
        ("a", &["--format", "jpeg"], ImageFormat::Jpeg),
    ] {
        generate(place.path(), &[&arguments[..], &[name], more].concat()).expect(0);
        let file = read_image_file(&fs::read(place.path().join(name)).expect("there"));
        assert_eq!(file.expect("an image").format, format);
        let text = run(place.path(), &["inspect", name]).expect(0).stdout;
        for part in [&format.to_string(), "16x16", "a man 眼鏡\nNegative prompt: hat\n", "Seed: 7,"]
        {
            assert!(text.contains(part), "{name}: {part} in {text}");
        }
        let found = run(place.path(), &["inspect", name, "--json"]).expect(0).json();
        assert_eq!(found["kind"], format.to_string().to_lowercase());
        assert_eq!(found["stride"]["prompt"], "a man 眼鏡");
    }
    assert_eq!(pixels(&place.path().join("a.png")), pixels(&place.path().join("a.webp")));
    let sizes = ["20", "95"].map(|quality| {
        let arguments = ["a man", "-s", "7", "-o", "q.jpg", "--quality", quality];
        generate(place.path(), &arguments).expect(0);
        fs::metadata(place.path().join("q.jpg")).expect("there").len()
    });
    assert!(sizes[0] < sizes[1], "{sizes:?}");
    // More than EXIF in JPEG holds.
    let long = "man ".repeat(20_000);
    generate(place.path(), &[&long, "-o", "b.jpg"]).expect(1).says(&["write PNG or WebP"]);
    assert!(!place.path().join("b.jpg").exists());
}

#[test]
fn one_image_goes_to_stdout() {
    let place = workplace();
    let arguments =
        ["generate", "--model", "model", "a man", "-s", "7", "-o", "-", "--format", "webp"];
    let output = command(place.path(), &arguments).output().expect("the program starts");
    assert!(output.status.success());
    let file = read_image_file(&output.stdout).expect("an image");
    assert_eq!((file.format, file.width), (ImageFormat::Webp, SIDE as u32));
    assert!(file.metadata.json.is_some_and(|json| json.contains("\"seed\":7")));
    assert_eq!(names_in(place.path()), ["model"]);
}

#[test]
fn all_combinations_are_drawn_and_each_is_what_it_would_be_alone() {
    let place = workplace();
    let many =
        ["-p", "a man", "-p", "a hat", "--seeds", "3,9", "--steps", "1,2", "--cfg-scale=1,2"];
    let name = "{prompt}_{seed}_{steps}_{cfg_scale}.png";
    let found = generate(place.path(), &[&many[..], &["-o", name, "--batch", "3"]].concat());
    let names: Vec<String> = found.expect(0).stdout.lines().map(str::to_owned).collect();
    assert_eq!(names.len(), 16);
    assert_eq!([&names[0], &names[15]], ["a-man_3_1_1.png", "a-hat_9_2_2.png"]);
    let alone = ["a hat", "-s9", "--steps=2", "--cfg-scale=2", "-o", "alone.png"];
    generate(place.path(), &alone).expect(0);
    let alone = pixels(&place.path().join("alone.png"));
    let batched = pixels(&place.path().join("a-hat_9_2_2.png"));
    let apart = alone.iter().zip(batched.iter()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart.is_some_and(|apart| apart <= 1), "{apart:?}");
    assert_ne!(alone, pixels(&place.path().join("a-hat_9_2_1.png")));
}

#[test]
fn prompts_come_from_files_with_options_of_their_own() {
    let place = workplace();
    let lines = r#"a man

{"prompt": "a hat", "steps": 2, "seed": 40, "count": 2, "output": "hat.jpg"}
{red|blue} hat
"#;
    fs::write(place.path().join("prompts.txt"), lines).expect("writable");
    let arguments = ["--prompt-file", "prompts.txt", "-s", "5", "--json"];
    let found = generate(place.path(), &arguments).expect(0).json();
    let files = found["files"].as_array().expect("a list").clone();
    let told = |field: &str| files.iter().map(|file| file[field].clone()).collect::<Vec<Value>>();
    assert_eq!(told("file"), ["stride-0-5.png", "hat-0.jpg", "hat-1.jpg", "stride-3-5.png"]);
    assert_eq!(told("seed"), [5, 40, 41, 5]);
    assert_eq!(told("steps"), [3, 2, 2, 3]);
    let chosen = files[3]["prompt"].as_str().expect("text");
    assert!(["red hat", "blue hat"].contains(&chosen), "{chosen}");
    // The same seed chooses the same again.
    let again = generate(place.path(), &["{red|blue} hat", "-s5", "--json"]).expect(0).json();
    assert_eq!(again["files"][0]["prompt"], chosen);

    for (line, part) in [
        (r#"{"prompt": "x", "step": 1}"#, "prompts.txt, line 1: unknown field `step`"),
        (r#"{"prompt": "x", "steps": 129}"#, "line 1: steps: expected a whole number in 1..=128"),
        (r#"{"prompt": "x", "seed": -7}"#, "-1 for a random one"),
        ("\n\n", "found none"),
    ] {
        fs::write(place.path().join("prompts.txt"), line).expect("writable");
        generate(place.path(), &arguments).expect(2).says(&[part]);
    }

    let mut program = command(
        place.path(),
        &["generate", "--model", "model", "--prompt-file", "-", "-o", "{index}-in.png"],
    );
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = program.spawn().expect("the program starts");
    let mut stdin = program.stdin.take().expect("piped");
    stdin.write_all(b"a man\na hat\n").expect("read");
    drop(stdin);
    let output = program.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0-in.png\n1-in.png\n");
}

#[test]
fn an_image_is_drawn_again_from_what_it_says() {
    let place = workplace();
    let first = ["a man", "-n", "hat", "--cfg-scale=1.5", "--steps=2", "-s", "7", "-o"];
    for name in ["a.png", "a.webp", "a.jpg"] {
        generate(place.path(), &[&first[..], &[name]].concat()).expect(0);
        generate(place.path(), &["--from", name, "-o", "again.png"]).expect(0);
        assert_eq!(
            pixels(&place.path().join("again.png")),
            pixels(&place.path().join("a.png")),
            "{name}"
        );
    }
    let other = ["--from", "a.png", "a hat", "--seeds", "8-9", "--steps", "1", "--json"];
    let found = generate(place.path(), &other).expect(0).json();
    let file = &found["files"][1];
    assert_eq!([&file["seed"], &file["steps"]], [9, 1]);
    assert_eq!([&file["prompt"], &file["negative_prompt"]], ["a hat", "hat"]);
    generate(place.path(), &["a man", "-o", "plain.png", "--disable-image-metadata"]).expect(0);
    generate(place.path(), &["--from", "plain.png"]).expect(2).says(&["does not say how"]);
}

#[test]
fn a_grid_has_labels_and_takes_the_place_of_its_images() {
    let place = workplace();
    let table = ["a man", "--seeds", "1-3", "--steps", "1,2", "--grid", "grid.png"];
    let told = generate(place.path(), &table).expect(0).stdout;
    assert_eq!(told, "grid.png\n");
    assert_eq!(names_in(place.path()), ["grid.png", "model"]);
    let found = pixels(&place.path().join("grid.png"));
    // Three columns of the least width, two rows.
    assert_eq!(found.dimensions(), (16 + 190 + 3 * 100 + 16, 16 + 22 + 4 + 2 * 26 + 16));
    let one = ["-p", "a man", "-p", "a hat", "--grid", "cards.jpg", "-o", "{index}.png"];
    assert_eq!(generate(place.path(), &one).expect(0).stdout, "0.png\n1.png\ncards.jpg\n");
    assert!(pixels(&place.path().join("cards.jpg")).width() > 512);
}

#[test]
fn the_way_between_images_is_an_animation_or_a_strip() {
    let place = workplace();
    let way = ["-p", "a man", "-p", "a hat", "--seed=4", "--frames=3", "--interpolate"];
    generate(place.path(), &[&way[..], &["way.webp", "-o", "end-{index}.png"]].concat()).expect(0);
    let file = fs::File::open(place.path().join("way.webp")).expect("there");
    let decoder = image::codecs::webp::WebPDecoder::new(std::io::BufReader::new(file));
    let frames = decoder.expect("WebP").into_frames().collect_frames().expect("frames");
    assert_eq!(frames.len(), 4);
    let frame = |k: usize| image::DynamicImage::from(frames[k].buffer().clone()).into_rgb8();
    assert_eq!(frame(0), pixels(&place.path().join("end-0.png")));
    assert_eq!(frame(3), pixels(&place.path().join("end-1.png")));
    assert_ne!(frame(1), frame(0));
    generate(place.path(), &[&way[..], &["way.png"]].concat()).expect(0);
    let strip = pixels(&place.path().join("way.png"));
    assert_eq!(strip.dimensions(), (4 * SIDE as u32 + 3 * 2, SIDE as u32));
}

#[test]
fn drawing_may_begin_at_an_image() {
    let place = workplace();
    let wide = image::RgbImage::from_fn(40, 20, |x, y| image::Rgb([6 * x as u8, 9 * y as u8, 90]));
    wide.save(place.path().join("photo.png")).expect("writable");
    let base = ["a man", "-s1", "--steps=8", "--init-image", "photo.png"];
    let draw = |strength: &str, name: &str| {
        let run =
            generate(place.path(), &[&base[..], &["--strength", strength, "-o", name]].concat());
        run.expect(0)
    };
    draw("0.25", "a.png").says(&["the last 2 of 8 steps"]);
    draw("1", "b.png").says(&["the last 8 of 8 steps"]);
    generate(place.path(), &["a man", "-s1", "--steps=8", "-o", "plain.png"]).expect(0);
    assert_eq!(pixels(&place.path().join("b.png")), pixels(&place.path().join("plain.png")));
    assert_ne!(pixels(&place.path().join("a.png")), pixels(&place.path().join("plain.png")));
    let text = run(place.path(), &["inspect", "a.png"]).expect(0).stdout;
    assert!(text.contains("Denoising strength: 0.25, "), "{text}");
    generate(place.path(), &["--from", "a.png"]).expect(0).says(&["--init-image"]);
    let missing = ["a man", "--init-image", "nowhere.png", "--strength", "0.5"];
    generate(place.path(), &missing).expect(1).says(&["nowhere.png"]);
}
