//! A classifier that learns two attributes of small images.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use stride::classifier::AttributeClassifierConfig;
use stride_train::{LogProgress, RunStart, RunSummary, TrainError, run};

use crate::small::write_images;

const SIDE: usize = 64;
const CONFIG: &str = r#"
kind = "classifier"
run_dir = "set by the test"
[data]
dir = "set by the test"
resolution = 64
held_out = 16
[training.budget]
max_steps = 80
[training.schedule]
warmup_steps = 5
[optimizer]
kind = "adamw"
learning_rate = 3e-3
[classifier]
batch_size = 16
"#;

/// A red or blue bar above or below on gray, with what it is.
fn write_data(dir: &Path) {
    let is_red = |index: usize| index.is_multiple_of(2);
    let is_above = |index: usize| (index / 2).is_multiple_of(2);
    let pixels = |index: usize| {
        let first = if is_above(index) { 8 } else { SIDE - 20 } + index / 4 % 4;
        let color = if is_red(index) { [200, 40, 30] } else { [30, 60, 210] };
        let pixel =
            |i: usize| if (first..first + 10).contains(&(i / SIDE)) { color } else { [130; 3] };
        // The number in stripes at the side. No copies: those of held-out images would not be trained on.
        let stripe = |i: usize| if index >> (6 * (i / SIDE) / SIDE) & 1 == 0 { 90 } else { 170 };
        let with_stripes = |i: usize| if i % SIDE < 4 { [stripe(i); 3] } else { pixel(i) };
        (0..SIDE * SIDE).flat_map(with_stripes).collect()
    };
    let fields = |index: usize| {
        let color = if is_red(index) { "red" } else { "blue" };
        let place = if is_above(index) { "above" } else { "below" };
        format!(
            "\"text\":\"{color} {place}\",\
             \"attributes\":{{\"color\":\"{color}\",\"place\":\"{place}\",\"shape\":\"bar\"}}"
        )
    };
    write_images(dir, SIDE, 64, pixels, fields);
}

fn train(dir: &Path) -> Result<RunSummary, TrainError> {
    let path = dir.join("classifier.toml");
    fs::write(&path, CONFIG).expect("writable");
    let overrides = [format!("data.dir={}", dir.join("data").display())];
    let mut progress = LogProgress::new(Duration::from_secs(60));
    run(
        &path,
        &overrides,
        &RunStart { overwrite: true, ..RunStart::default() },
        Some(&dir.join("run")),
        &mut progress,
        &AtomicBool::new(false),
    )
}

#[test]
fn colour_and_place_are_learned() {
    let dir = tempfile::tempdir().expect("folder");
    write_data(&dir.path().join("data"));
    // The model of an earlier run, which shall go as a whole.
    fs::create_dir_all(dir.path().join("run/model")).expect("writable");
    fs::write(dir.path().join("run/model/stale.safetensors"), b"").expect("writable");
    let summary = train(dir.path()).expect("trains");
    let value =
        |name: &str| summary.report.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    println!("{:?}", summary.report);
    for name in ["held_out_accuracy", "held_out_accuracy_disturbed"] {
        assert!(value(name).is_some_and(|accuracy| accuracy > 0.9), "{:?}", summary.report);
    }
    // What has one value alone cannot be told apart.
    assert!(
        value("held_out_accuracy_place").is_some() && value("held_out_accuracy_shape").is_none()
    );
    let model = dir.path().join("run/model");
    assert_eq!(fs::read_dir(&model).expect("exported").count(), 2, "configuration and weights");
    let names = fs::read_dir(dir.path().join("run")).expect("a folder");
    let names = names.map(|entry| entry.expect("readable").file_name().into_string());
    assert!(names.flatten().all(|name| !name.starts_with('.')), "nothing temporary is left");
    let config = fs::read(model.join("config.json")).expect("exported");
    let config: AttributeClassifierConfig = serde_json::from_slice(&config).expect("a config");
    assert_eq!(config.attributes[0].values, ["blue", "red"]);
    let weights = fs::read(model.join("model.safetensors")).expect("exported");
    let device = burn::tensor::Device::flex();
    config.init(&device).expect("valid").load("model.safetensors", &weights).expect("fits");
}

#[test]
fn attributes_that_are_missing_are_named() {
    let dir = tempfile::tempdir().expect("folder");
    let data = dir.path().join("data");
    write_data(&data);
    let listing = data.join("metadata.jsonl");
    let text = fs::read_to_string(&listing).expect("there");
    let change = |from: &str, to: &str| {
        fs::write(&listing, text.replacen(from, to, 3)).expect("writable");
        train(dir.path()).expect_err("must fail").to_string()
    };
    let error = change(
        "\"text\":\"blue above\",\"attributes\":{\"color\":\"blue\",",
        "\"text\":\"x\",\"attributes\":{",
    );
    assert!(error.contains("1.png has no attribute color"), "{error}");
    let line = |index| format!("{{\"file_name\":\"{index}.png\",\"text\":\"x\"}}\n");
    fs::write(&listing, (0..20).map(line).collect::<String>()).expect("writable");
    let error = train(dir.path()).expect_err("must fail").to_string();
    assert!(error.contains("expected an object \"attributes\""), "{error}");
}
