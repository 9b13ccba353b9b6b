//! `stride evaluate`, from images and a tiny model to reports, with random weights of Inception.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use stride::image::{ImageMetadata, RgbImage, png_bytes};
use tempfile::TempDir;

use crate::clip::write_clip;
#[cfg(feature = "embedded-model")]
use crate::compare::{TINY, preset};
use crate::model::{SIDE, workplace};
use crate::program::{Run, command, names_in, run};

/// Random weights of the network of FID, made once for all tests.
pub(crate) fn inception() -> &'static Path {
    static FILE: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    FILE.get_or_init(|| {
        let file = tempfile::Builder::new().suffix(".safetensors").tempfile();
        let file = file.expect("a temporary file");
        fs::write(file.path(), inception_bytes(|value| value)).expect("writable");
        file
    })
    .path()
}

/// Kernels of variance 2 / fan-in and norms near the identity; `change` sees every value of the first norm.
fn inception_bytes(change: impl Fn(f32) -> f32) -> Vec<u8> {
    let fixture = include_str!("../../../stride-eval/tests/fixtures/evaluation.json");
    let fixture: Value = serde_json::from_str(fixture).expect("JSON");
    let shapes: BTreeMap<String, Vec<usize>> =
        serde_json::from_value(fixture["shapes fid"].clone()).expect("names and shapes");
    let mut state = 7u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let fan_in: usize = shape[1..].iter().product();
            let bound = (6.0 / fan_in as f32).sqrt();
            let count: usize = shape.iter().product();
            let values = (0..count).map(|_| match shape.len() {
                1 if name.ends_with("weight") || name.ends_with("var") => 0.75 + 0.5 * uniform(),
                1 if name == "Conv2d_1a_3x3.bn.bias" => change(0.0),
                1 => 0.0,
                _ => bound * (2.0 * uniform() - 1.0),
            });
            let bytes = values.flat_map(f32::to_le_bytes).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
    });
    safetensors::serialize(views, None).expect("writable")
}

fn image(kind: u8, side: usize) -> Vec<u8> {
    let pixels = (0..side * side * 3).map(|i| (i % 251) as u8 ^ kind.wrapping_mul(37)).collect();
    let image = RgbImage { width: side, height: side, pixels };
    png_bytes(&image, &ImageMetadata::default()).expect("an image")
}

/// A workplace with a tiny model, captioned images in `data`, others in `heldout`.
pub(crate) fn place() -> TempDir {
    let place = workplace();
    for (folder, first) in [("data", 0), ("heldout", 100)] {
        let folder = place.path().join(folder);
        fs::create_dir(&folder).expect("writable");
        let mut lines = String::new();
        for k in 0..6 {
            fs::write(folder.join(format!("{k}.png")), image(first + k, SIDE)).expect("writable");
            let caption = if k % 2 == 0 { "a man" } else { "a smiling woman" };
            let gender = if k % 2 == 0 { "man" } else { "woman" };
            lines += &format!(
                "{{\"file_name\": \"{k}.png\", \"text\": \"{caption}\", \"attributes\": {{\"gender\": \"{gender}\"}}}}\n"
            );
        }
        fs::write(folder.join("metadata.jsonl"), lines).expect("writable");
    }
    place
}

fn evaluate_model(place: &TempDir, more: &[&str]) -> Run {
    let weights = inception().display().to_string();
    let base =
        ["evaluate", "--model", "model", "--data", "data", "--samples", "5", "--steps", "1,2"];
    run(place.path(), &[&base[..], &["--inception", &weights], more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("written")).expect("JSON")
}

#[test]
fn a_model_is_evaluated_on_two_folders_and_goes_on_where_it_stopped() {
    let place = place();
    let arguments = ["--heldout", "heldout", "--out", "out", "--save-images", "--bootstrap", "3"];
    let first = evaluate_model(&place, &arguments).expect(0);
    for part in [
        "| autoencoder |",
        "| 1 |",
        "Combinations that training never saw",
        "5 samples for features of width",
    ] {
        assert!(first.stdout.contains(part), "{part} is not in:\n{}", first.stdout);
    }
    let out = place.path().join("out");
    let report = json(&out.join("report.json"));
    let studies = report["studies"].as_array().expect("a list");
    assert_eq!(studies.len(), 2);
    for study in studies {
        let rows = study["rows"].as_array().expect("a list");
        assert_eq!(rows.len(), 2);
        for scores in rows.iter().chain([&study["floor"]]) {
            assert!(scores["distance"].as_f64().is_some_and(|value| value > 0.0), "{scores}");
            assert!(scores["distance_interval_95"][1].is_number(), "{scores}");
            assert!(scores["precision"].is_number() && scores["nearest"].is_number(), "{scores}");
            let name = scores["distance_name"].as_str().expect("a name");
            assert!(name.starts_with("Frechet distance (inception-v3 fid"), "{name}");
        }
        assert_eq!(rows[1]["certificate"]["drawing"]["steps"], 2);
    }
    assert_eq!(report["diversity"]["by_steps"].as_array().map(Vec::len), Some(2));
    let page = fs::read_to_string(out.join("report.html")).expect("written");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("<svg"), "images and curves");
    assert!(!page.contains("src=\"http") && !page.contains("href="), "one file is enough");
    assert_eq!(names_in(&out.join("images/heldout/steps-2")).len(), 5);

    // The provenance names the images: those on disk have its hash.
    let folder = out.join("images/data/steps-2").display().to_string();
    let reference = out.join("images/data/real").display().to_string();
    let weights = inception().display().to_string();
    let folders = ["evaluate", &folder, &reference, "--inception", &weights, "--json"];
    let folders = run(place.path(), &folders).expect(0).json();
    let row = &studies[0]["rows"][1];
    assert_eq!(folders["certificate"]["samples_sha256"], row["certificate"]["samples_sha256"]);
    let [a, b] = [&folders["distance"], &row["distance"]].map(|v| v.as_f64().expect("a number"));
    assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");

    // A lost block is made again, the others stay, and the numbers are the same.
    let block = out.join("features/data/steps-1/000000.safetensors");
    let other = out.join("features/data/steps-2/000000.safetensors");
    let written = fs::metadata(&other).expect("there").modified().expect("a time");
    fs::remove_file(&block).expect("there");
    evaluate_model(&place, &arguments).expect(0);
    assert_eq!(json(&out.join("report.json")), report);
    assert_eq!(fs::metadata(&other).expect("there").modified().expect("a time"), written);
    fs::write(&block, b"damaged").expect("writable");
    evaluate_model(&place, &arguments).expect(1).says(&["000000.safetensors: damaged"]);
    evaluate_model(&place, &["--out", "out", "--seed", "5"])
        .expect(1)
        .says(&["seed is 0, expected 5"]);
}

#[test]
fn a_killed_evaluation_goes_on_as_if_nothing_had_happened() {
    let place = place();
    let weights = inception().display().to_string();
    let base =
        ["evaluate", "--model", "model", "--data", "data", "--samples", "5", "--steps", "1,2"];
    let arguments = [&base[..], &["--inception", &weights, "--out", "killed"]].concat();
    let mut quiet = command(place.path(), &arguments);
    quiet.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().expect("the program starts");
    let block = place.path().join("killed/features/data/real/000000.safetensors");
    while !block.exists() && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("a child");
    evaluate_model(&place, &["--out", "killed"]).expect(0);
    evaluate_model(&place, &["--out", "whole"]).expect(0);
    let [killed, whole] =
        ["killed", "whole"].map(|out| json(&place.path().join(out).join("report.json")));
    assert_eq!(killed, whole);
}

#[test]
fn clip_tells_how_well_images_go_with_captions() {
    let place = place();
    write_clip(&place.path().join("clip"));
    let found = evaluate_model(&place, &["--clip", "clip", "--out", "out"]).expect(0);
    for part in ["| CLIP score ↑ |", "scores real images"] {
        assert!(found.stdout.contains(part), "{part} is not in:\n{}", found.stdout);
    }
    let study = &json(&place.path().join("out/report.json"))["studies"][0];
    for score in [&study["real_clip"], &study["rows"][0]["clip"], &study["floor"]["clip"]] {
        let [own, shuffled] = ["own", "shuffled"].map(|key| score[key].as_f64().expect("a number"));
        assert!((0.0..=100.0).contains(&own) && own != shuffled, "{score}");
        assert!(score["r_precision"].is_null(), "5 images are too few: {score}");
    }
    evaluate_model(&place, &["--out", "out"]).expect(1).says(&["clip is"]);
    evaluate_model(&place, &["--clip", "data"]).expect(1).says(&["data", "config.json"]);
    let broken = place.path().join("clip/config.json");
    let config = fs::read_to_string(&broken).expect("written");
    fs::write(&broken, config.replace("CLIPModel", "CLIPTextModel")).expect("writable");
    evaluate_model(&place, &["--clip", "clip"]).expect(1).says(&["CLIP"]);
}

#[test]
fn parts_merge_into_the_report_of_the_whole() {
    let place = place();
    evaluate_model(&place, &["--out", "whole"]).expect(0);
    evaluate_model(&place, &["--out", "a", "--shard", "0/2"])
        .expect(0)
        .says(&["part 1 of 2 is done"]);
    assert!(!place.path().join("a/report.json").exists());
    evaluate_model(&place, &["--out", "b", "--shard", "1/2"]).expect(0);
    run(place.path(), &["evaluate", "merge", "a", "b", "--out", "c"]).expect(0);
    let [whole, merged] =
        ["whole", "c"].map(|out| json(&place.path().join(out).join("report.json")));
    assert_eq!(whole, merged);
    run(place.path(), &["evaluate", "merge", "b", "--out", "half"])
        .expect(1)
        .says(&["images 0 to 4 of data/real are in none of the folders"]);
    assert!(!place.path().join("half/report.json").exists());
    run(place.path(), &["evaluate", "merge", "a", "b", "--out", "half"]).expect(0);
    assert_eq!(json(&place.path().join("half/report.json")), whole);
    evaluate_model(&place, &["--out", "d", "--seed", "9", "--shard", "1/2"]).expect(0);
    run(place.path(), &["evaluate", "merge", "d", "--out", "c"]).expect(1).says(&["seed is"]);
    run(place.path(), &["evaluate", "merge", "a", "d", "--out", "e"])
        .expect(1)
        .says(&["seed is 9"]);
    evaluate_model(&place, &["--out", "a", "--shard", "2/2"])
        .expect(2)
        .says(&["I from 0 to N - 1"]);
}

#[test]
#[cfg(feature = "embedded-model")]
fn a_training_run_is_evaluated_by_the_classifier_inside() {
    let place = place();
    let preset = preset("shortcut");
    let mut arguments = vec!["train", "--config", preset.as_str(), "--run-dir", "run"];
    let more = [
        "training.budget.max_steps=12",
        "data.max_images=6",
        "training.output.metrics_every_steps=4",
    ];
    arguments.extend(TINY.iter().chain(&more).flat_map(|setting| ["--set", setting]));
    run(place.path(), &arguments).expect(0);
    let arguments =
        ["evaluate", "--run", "run", "--data", "data", "--samples", "6", "--steps", "1,2"];
    let found = run(place.path(), &[&arguments[..], &["--out", "out"]].concat()).expect(0);
    for part in ["Frechet distance (attribute classifier", "| gender | 6 |", "## Over training"] {
        assert!(found.stdout.contains(part), "{part} is not in:\n{}", found.stdout);
    }
    let report = json(&place.path().join("out/report.json"));
    let study = &report["studies"][0];
    let tally = &study["rows"][0]["attributes"]["tallies"]["gender"];
    let [named, shown] = ["named", "shown"].map(|key| tally[key].as_u64().expect("a count"));
    let failures = study["failures"].as_array().expect("a list");
    assert_eq!(named, 6);
    if failures[0]["steps"] == 1 {
        assert_eq!(failures.len() as u64, named - shown);
    }
    for miss in failures.iter().flat_map(|failure| failure["misses"].as_array().expect("a list")) {
        assert!(miss["attribute"] == "gender" && miss["wanted"] != miss["seen"], "{miss}");
    }
    let checkpoints = report["checkpoints"].as_array().expect("a list");
    assert_eq!(checkpoints[0]["training_step"], 12);
    // The last checkpoint is the exported model, but for the precision in which that is stored.
    let [checkpoint, model] =
        [&checkpoints[0]["scores"], &study["rows"][0]].map(|s| s["distance"].as_f64());
    let (checkpoint, model) = (checkpoint.expect("a number"), model.expect("a number"));
    assert!((checkpoint / model - 1.0).abs() < 0.05, "{checkpoint} {model}");
    assert!(
        report["losses"]["loss"].as_array().is_some_and(|curve| curve.len() == 3),
        "{}",
        report["losses"]
    );
}

#[test]
fn wrong_usage_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases: [(&[&str], &str); 17] = [
        (&[], "expected SAMPLES and REFERENCE, or --data DIR"),
        (&["a"], "REFERENCE"),
        (&["a", "b", "--data", "c"], "--data"),
        (&["a", "b", "--out", "c"], "--out"),
        (&["a", "b", "--steps", "1"], "--steps"),
        (&["a", "b", "--samples", "5"], "--samples"),
        (&["a", "b", "--heldout", "c"], "--heldout"),
        (&["a", "b", "--clip", "c"], "--clip"),
        (&["a", "b", "--cfg-scale", "2"], "--cfg-scale"),
        (&["a", "b", "--out", "c", "--shard", "0/2"], "--shard"),
        (&["a", "b", "--out", "c", "--save-images"], "--save-images"),
        (&["--data", "c", "--steps", "0"], "1..=128"),
        (&["--data", "c", "--samples", "1"], "at least 2"),
        (&["a", "b", "--bootstrap", "10001"], "0..=10000"),
        (&["--data", "c", "--protocol", "pytorch-fid-stored"], "expected SAMPLES and REFERENCE"),
        (&["--data", "c", "--save-images"], "--out"),
        (&["--data", "c", "--model", "a", "--run", "b"], "--run"),
    ];
    for (arguments, expected) in cases {
        run(folder.path(), &[&["evaluate"], arguments].concat()).expect(2).says(&[expected]);
    }
    assert!(names_in(folder.path()).is_empty());
}

/// For every kind of file that Stride reads: alpha, EXIF, palettes, 16 bits, CMYK and the rest.
#[cfg(feature = "embedded-model")]
#[test]
fn a_set_is_at_distance_0_from_its_own_pixels_in_png() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../stride-data/tests/fixtures/pictures.safetensors");
    let bytes = fs::read(path).expect("a fixture");
    let fixture = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let place = tempfile::tempdir().expect("a temporary folder");
    // Images of one set have one size.
    let mut kinds: BTreeMap<(u32, u32), Vec<String>> = BTreeMap::new();
    for (name, view) in fixture.tensors() {
        let Some(name) = name.strip_prefix("file.") else { continue };
        let decoded = stride_data::decode(view.data(), &stride_data::Limits::default());
        let decoded = decoded.expect("an image");
        let (width, height) = decoded.dimensions();
        let [files, pixels] =
            ["files", "pixels"].map(|what| place.path().join(format!("{what}-{width}x{height}")));
        for (folder, copy) in [(&files, "a"), (&files, "b"), (&pixels, "a"), (&pixels, "b")] {
            fs::create_dir_all(folder).expect("writable");
            if folder == &files {
                fs::write(files.join(format!("{name}-{copy}-{name}")), view.data())
                    .expect("writable");
            } else {
                decoded.save(pixels.join(format!("{name}-{copy}.png"))).expect("writable");
            }
        }
        kinds.entry((width, height)).or_default().push(name.to_owned());
    }
    assert_eq!(kinds.values().map(Vec::len).sum::<usize>(), 26);
    for ((width, height), names) in kinds {
        let of = |what: &str| format!("{what}-{width}x{height}");
        let evaluated = run(place.path(), &["evaluate", &of("files"), &of("pixels"), "--json"]);
        let scores = evaluated.expect(0).json();
        assert_eq!(scores["distance"].as_f64(), Some(0.0), "{names:?}");
        let [a, b] = ["samples_sha256", "references_sha256"].map(|n| &scores["certificate"][n]);
        assert_eq!(a, b, "{names:?}");
    }
}

#[test]
fn unusable_inputs_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("writable");
        fs::write(path, bytes).expect("writable");
    };
    let weights = inception().display().to_string();
    let evaluate = |more: &[&str]| run(folder.path(), &[&["evaluate"], more].concat());
    write("a/1.png", &image(1, 2));
    evaluate(&["a", "a"]).expect(1).says(&["at least 2 samples, found 1"]);
    write("a/2.png", &image(2, 2));
    evaluate(&["a", "a", "--classifier", "a"]).expect(1).says(&["config.json"]);
    let mut jpeg = Vec::new();
    let pixels = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8 * 8, y as u8 * 8, 9]));
    pixels.write_to(&mut Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).expect("encodable");
    write("cut/1.jpg", &jpeg);
    write("cut/2.jpg", &jpeg[..jpeg.len() / 2]);
    evaluate(&["cut", "a"]).expect(1).says(&["2.jpg: not a readable image", "cut off"]);
    for name in ["others/1.png", "others/2.png", "others/3.bmp", "others/4.TIFF", "others/5.tiff"] {
        write(name, &image(1, 2));
    }
    evaluate(&["others", "a", "--inception", "w.safetensors"])
        .says(&["others: left out 1 .bmp, 2 .tiff"]);
    write("w.safetensors", b"no weights");
    evaluate(&["a", "a", "--inception", "w.safetensors"])
        .expect(1)
        .says(&["w.safetensors", "not a complete safetensors file"]);
    write("nan.safetensors", &inception_bytes(|_| f32::NAN));
    evaluate(&["a", "a", "--inception", "nan.safetensors"]).expect(1).says(&[
        "nan.safetensors",
        "Conv2d_1a_3x3.bn.bias",
        "NaN",
    ]);

    write("mixed/1.png", &image(1, 2));
    write("mixed/2.png", &image(1, 3));
    evaluate(&["mixed", "a", "--inception", &weights])
        .expect(1)
        .says(&["2.png: expected 2x2", "found 3x3"]);
    let statistics = include_bytes!("../../../stride-eval/tests/fixtures/stride_statistics.npz");
    write("narrow.npz", statistics);
    evaluate(&["a", "narrow.npz", "--inception", &weights])
        .expect(1)
        .says(&["narrow.npz", "expected 2048, found 3"]);
    write("cut.npz", &statistics[..200]);
    evaluate(&["a", "cut.npz", "--inception", &weights])
        .expect(1)
        .says(&["cut.npz: not a complete .npz archive"]);

    evaluate(&["convert-inception", "a", "-o", "i.safetensors"]).expect(1).says(&["model.min.js"]);
    write("a/model.min.js", b"weightsManifest:[]");
    evaluate(&["convert-inception", "a", "-o", "i.safetensors"])
        .expect(1)
        .says(&["model.min.js", "expected nsfwjs 4"]);
    assert!(!folder.path().join("i.safetensors").exists());

    // Statistics that were saved serve in the place of the images.
    let base = ["--inception", &weights, "--json"];
    let direct = evaluate(&[&["a", "a", "--save-statistics", "s.npz"], &base[..]].concat());
    let direct = direct.expect(0).json();
    let saved = evaluate(&[&["a", "s.npz"], &base[..]].concat()).expect(0).json();
    let [direct, saved] =
        [direct, saved].map(|found| found["distance"].as_f64().expect("a number"));
    assert!((direct - saved).abs() < 1e-9, "{direct} {saved}");
}
