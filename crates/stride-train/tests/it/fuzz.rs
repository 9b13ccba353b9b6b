//! Broken configurations and checkpoints, the same in every run: each is read or refused with what is wrong in it.

use std::fs;
use std::path::{Path, PathBuf};

use stride_train::{Checkpoint, Resume, Retention, RunConfig};

use crate::mutations::{Draws, check_peak, rounds};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 4000;

const KEEP: Retention = Retention { latest: 3, every_steps: None };

/// Presets of all kinds.
const PRESETS: [&str; 4] =
    ["avatars-vae.toml", "avatars-dit.toml", "avatars-classifier.toml", "celeba-hq-reference.toml"];

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

#[test]
fn broken_configurations_are_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("run.toml");
    for (seed, preset) in (0..).zip(PRESETS) {
        let text = fs::read(configs().join(preset)).expect("a preset");
        let mut draws = Draws(seed);
        let mut read = 0;
        for _ in 0..rounds(300) {
            fs::write(&path, draws.mutate_text(&text)).expect("writable");
            match RunConfig::load(&path, &[]) {
                Ok(config) => {
                    // What is read can be written into the run folder, and is the same there.
                    if let Ok(text) = config.to_toml() {
                        fs::write(&path, text).expect("writable");
                        RunConfig::load(&path, &[]).expect("the resolved configuration");
                    }
                    read += 1;
                }
                Err(error) => assert!(error.to_string().contains("run.toml"), "{error}"),
            }
        }
        println!("{preset}: {read} read");
    }
    check_peak(BOUND);
}

#[test]
fn broken_overrides_are_refused() {
    let mut draws = Draws(20);
    let path = configs().join("avatars-dit.toml");
    let seed = b"training.budget.max_steps=3 ema=[{name=\"a\",decay=0.5}] dit.model.depth = 2";
    for _ in 0..rounds(500) {
        let setting = String::from_utf8_lossy(&draws.mutate_text(seed)).into_owned();
        let settings: Vec<String> = setting.split(' ').map(str::to_owned).collect();
        for setting in settings {
            _ = RunConfig::load(&path, &[setting]);
        }
    }
    let deep = format!("{}=1", "a.".repeat(20_000));
    let nested = format!("seed={}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let long = format!("run_dir={}", "a".repeat(1 << 20));
    for setting in [deep, nested, long] {
        _ = RunConfig::load(&path, &[setting]);
    }
    check_peak(BOUND);
}

#[test]
fn a_checkpoint_that_was_changed_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let state = r#"{"step": 3, "optimizer_steps": 3, "elapsed_seconds": 1.5}"#;
    let files = [
        ("trainer_state.json".to_owned(), state.as_bytes().to_vec()),
        ("model.safetensors".to_owned(), vec![7; 100]),
    ];
    let written = Checkpoint::write(dir.path(), 3, &files, KEEP).expect("writable");
    let mut draws = Draws(30);
    for entry in fs::read_dir(written.dir()).expect("a folder") {
        let path = entry.expect("readable").path();
        let is_data = files.iter().any(|(name, _)| path.ends_with(name));
        let whole = fs::read(&path).expect("readable");
        for _ in 0..rounds(200) {
            let broken = draws.mutate_text(&whole);
            fs::write(&path, &broken).expect("writable");
            let found = Checkpoint::open(dir.path(), &Resume::Latest);
            if let Ok(found) = found {
                assert!(!is_data || broken == whole, "{}", path.display());
                found.trainer_state().expect("its files are those that were saved");
            }
        }
        fs::write(&path, whole).expect("writable");
    }
    check_peak(BOUND);
}
