//! A text encoder that learns two attributes from captions, and a transformer that starts from it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use stride::text::TextEncoderConfig;
use stride_train::{
    LogProgress, Progress, ProgressUpdate, Resume, RunStart, RunSummary, TrainError, run,
};

const CONFIG: &str = r#"
kind = "text_encoder"
run_dir = "set by the test"
[data]
dir = "set by the test"
held_out = 16
[training.budget]
max_steps = 60
[training.schedule]
warmup_steps = 5
[optimizer]
learning_rate = 1e-2
[text_encoder]
batch_size = 40
unknown_fraction = 0.05
[text_encoder.model]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
num_attention_heads = 2
[text_encoder.phrases]
color = { red = "red bar", blue = "blue bar" }
place = { above = "above", below = "below" }
"#;

/// Captions in two orders and with two words for a colour; the last names one attribute alone. There are no images.
pub(crate) fn write_captions(dir: &Path) {
    let line = |index: usize| {
        let (color, also) = [("red", "crimson"), ("blue", "navy")][index % 2];
        let place = ["above", "below"][index / 2 % 2];
        format!(
            "{{\"file_name\":\"{index}.png\",\"text\":\"a {color} bar {place}\",\
             \"captions\":[\"{place}, a {also} bar\",\"{also} bar\"],\
             \"attributes\":{{\"color\":\"{color}\",\"place\":\"{place}\",\"shape\":\"bar\"}}}}\n"
        )
    };
    fs::create_dir_all(dir).expect("writable");
    fs::write(dir.join("metadata.jsonl"), (0..64).map(line).collect::<String>()).expect("writable");
}

fn train(dir: &Path, name: &str, settings: &[&str]) -> Result<RunSummary, TrainError> {
    let mut progress = LogProgress::new(Duration::from_secs(60));
    let begin = RunStart { overwrite: true, ..RunStart::default() };
    train_with(dir, name, settings, &begin, &mut progress, &AtomicBool::new(false))
}

fn train_with(
    dir: &Path,
    name: &str,
    settings: &[&str],
    begin: &RunStart,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let path = dir.join("text.toml");
    fs::write(&path, CONFIG).expect("writable");
    let mut overrides = vec![format!("data.dir={}", dir.join("data").display())];
    overrides.extend(settings.iter().map(|&setting| setting.to_owned()));
    run(&path, &overrides, begin, Some(&dir.join(name)), progress, stop)
}

/// A text encoder's model folder, for others who start from one.
pub(crate) fn trained(dir: &Path) -> std::path::PathBuf {
    write_captions(&dir.join("data"));
    train(dir, "text", &["training.budget.max_steps=2"]).expect("trains");
    dir.join("text/model")
}

#[test]
fn attributes_are_told_from_captions() {
    let dir = tempfile::tempdir().expect("folder");
    write_captions(&dir.path().join("data"));
    let summary = train(dir.path(), "run", &[]).expect("trains");
    let value =
        |name: &str| summary.report.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    println!("{:?}", summary.report);
    for name in ["held_out_accuracy", "held_out_accuracy_color", "held_out_accuracy_place"] {
        assert_eq!(value(name), Some(1.0), "{:?}", summary.report);
    }
    // What has one value alone cannot be told apart.
    assert_eq!(value("held_out_accuracy_shape"), None);
    // Captions that name no place leave it open: a sixth of the loss is one bit's.
    let metrics = fs::read_to_string(dir.path().join("run/metrics.jsonl")).expect("there");
    let mut losses = metrics.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["cross_entropy"].as_f64()
    });
    let last = losses.next_back().expect("a loss");
    let least = std::f64::consts::LN_2 / 6.0;
    println!("loss {last:.3}, least {least:.3}");
    assert!(last > 0.6 * least && last < 2.5 * least, "{last}");

    let model = dir.path().join("run/model");
    let device = Device::flex();
    let (config, encoder) = stride_models::text_encoder(&model, &device).expect("loads");
    let TextEncoderConfig::Query(config) = config else { panic!("{config:?}") };
    assert_eq!(config.num_queries, 2);
    let vocabulary = stride_models::vocabulary_of(&model).expect("loads");
    assert_eq!(vocabulary.len(), config.vocab_size);
    let ids = stride::tokenizer::pad_token_ids(&[[0, 3, 1]], vocabulary.end_row(), &device);
    assert_eq!(encoder.forward(ids).tokens.dims(), [1, 2 + 3, 16]);
    // What completes prompts: the attributes that can be told apart, their phrases, and what goes together.
    let completion = stride_models::completion(&model, &device).expect("loads");
    let attributes = &completion.config().attributes;
    let names: Vec<_> = attributes.iter().map(|attribute| &*attribute.name).collect();
    assert_eq!(names, ["color", "place"]);
    assert_eq!(attributes[0].phrases, ["blue bar", "red bar"]);
    assert_eq!(completion.config().examples[..4], [[1, 0], [0, 0], [1, 1], [0, 1]]);
    let complete = |prompt: &str, seed| {
        let tokens = stride::tokenizer::ClipTokenizer::new().expect("embedded").encode(prompt);
        completion.complete(prompt, &tokens.expect("encodes"), seed)
    };
    assert_eq!(complete("a red bar above", 1), None);
    let completed: BTreeSet<_> = (0..20).map(|seed| complete("navy bar.", seed)).collect();
    let expected = ["navy bar, above", "navy bar, below"].map(|text| Some(text.to_owned()));
    assert_eq!(completed, BTreeSet::from(expected));
}

/// Sets the stop flag after a few steps.
struct StopAfter<'a>(u64, &'a AtomicBool);

impl Progress for StopAfter<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.1.store(update.step >= self.0, Ordering::Relaxed);
    }

    fn message(&mut self, _text: &str) {}
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let dir = tempfile::tempdir().expect("folder");
    write_captions(&dir.path().join("data"));
    let average = [
        "ema=[{name = \"slow\", decay = 0.9}]",
        "text_encoder.export=slow",
        "training.budget.max_steps=12",
    ];
    train(dir.path(), "whole", &average).expect("trains");
    let stop = AtomicBool::new(false);
    let new = RunStart::default();
    let mut progress = StopAfter(5, &stop);
    let stopped = train_with(dir.path(), "parts", &average, &new, &mut progress, &stop);
    assert!(stopped.expect("trains").was_stopped);
    stop.store(false, Ordering::Relaxed);
    let resume = RunStart { resume: Some(Resume::Latest), ..RunStart::default() };
    let mut progress = StopAfter(u64::MAX, &stop);
    train_with(dir.path(), "parts", &average, &resume, &mut progress, &stop).expect("trains");
    for name in ["text_encoder/model.safetensors", "completion/model.safetensors"] {
        let bytes = |run: &str| fs::read(dir.path().join(run).join("model").join(name));
        assert!(bytes("whole").expect("there") == bytes("parts").expect("there"), "{name}");
    }
}

#[test]
fn settings_and_data_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().expect("folder");
    let data = dir.path().join("data");
    write_captions(&data);
    let refused = |settings: &[&str]| {
        train(dir.path(), "run", settings).expect_err("must be refused").to_string()
    };
    for (setting, expected) in [
        ("text_encoder.unknown_fraction=1", "in [0, 1)"),
        ("text_encoder.batch_size=0", "text_encoder.batch_size"),
        ("text_encoder.export=none", "[[ema]]"),
        ("text_encoder.model.num_attention_heads=3", "num_attention_heads (3) must divide"),
        ("text_encoder.model.num_hidden_layers=4611686018427387904", "at most 1024"),
        ("data.held_out=64", "expected at least 65, found 64"),
        ("data.prepared=x", "data.prepared"),
        ("text_encoder.phrases.color={red = \"red\"}", "found none for color.\"blue\""),
    ] {
        let text = refused(&[setting]);
        assert!(text.contains(expected), "{setting}: {text}");
    }
    let line = |index| format!("{{\"file_name\":\"{index}.png\",\"text\":\"x\"}}\n");
    fs::write(data.join("metadata.jsonl"), (0..20).map(line).collect::<String>())
        .expect("writable");
    let text = refused(&[]);
    assert!(text.contains("expected an object \"attributes\""), "{text}");
}
