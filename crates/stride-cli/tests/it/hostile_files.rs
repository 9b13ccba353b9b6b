//! Folders that were half written or edited: the program reads them or says what is wrong, soon and in bounded memory.

use std::fs;
use std::path::Path;

use crate::bounded::run_bounded;
use crate::mutations::{Draws, check_peak, rounds};
use crate::program::run;
use crate::{compare, evaluate, model, prompts};

/// Breaks a file `few` times and runs a command on it; what it exits with counts where it is neither 0 nor 1. Where
/// `RUN_SLOW_TESTS` is set, ten times as often: the 10,000 broken versions of each kind of file are for the tests of the
/// crates, which start no program.
fn attack(seed: u64, place: &Path, file: &str, few: usize, arguments: &[&str]) {
    let path = place.join(file);
    let whole = fs::read(&path).expect("written");
    let mut draws = Draws(seed);
    let mut used = 0;
    let rounds = if rounds(few) == few { few } else { 10 * few };
    let is_text = !["png", "safetensors", "pt", "npz"].iter().any(|ending| file.ends_with(ending));
    for _ in 0..rounds {
        let broken = if is_text { draws.mutate_text(&whole) } else { draws.mutate(&whole) };
        fs::write(&path, &broken).expect("writable");
        let run = run_bounded(place, arguments, &broken);
        used += usize::from(run.code == Some(0));
        assert!(run.stderr.len() + run.stdout.len() < 1 << 20, "{file}: too much to say");
        if run.code != Some(0) {
            assert!(run.stderr.contains("error: "), "{file}: {:.500}", run.stderr);
        }
    }
    fs::write(&path, whole).expect("writable");
    println!("{file}: {used} of {rounds} used");
    // Of this process, which runs the program; that one has a bound of its own.
    check_peak(4000);
}

#[test]
fn broken_metrics_are_plotted_or_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let lines = (1..=9).map(|step| {
        format!(
            "{{\"step\": {step}, \"elapsed_seconds\": 1.5, \"loss\": {}, \"held_out_error\": 2}}\n",
            1.0 / f64::from(step)
        )
    });
    fs::write(place.path().join("metrics.jsonl"), lines.collect::<String>()).expect("writable");
    run(place.path(), &["plot", "."]).expect(0);
    attack(1, place.path(), "metrics.jsonl", 200, &["plot", "."]);
    let svg = fs::metadata(place.path().join("curves.svg")).expect("written").len();
    assert!(svg < 1 << 20, "{svg} bytes");
}

#[test]
fn broken_images_and_models_are_inspected_or_refused() {
    let place = model::workplace();
    let generate = ["generate", "--model", "model", "a man 😀", "--seed", "9", "-o", "a.png"];
    run(place.path(), &generate).expect(0);
    attack(2, place.path(), "a.png", 150, &["inspect", "a.png"]);
    for (seed, file) in (3..).zip([
        "model/model_index.json",
        "model/transformer/config.json",
        "model/text_encoder/config.json",
        "model/vae/config.json",
    ]) {
        attack(seed, place.path(), file, 30, &["inspect", "model"]);
    }
}

#[test]
fn broken_archives_are_inspected_or_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (seed, file, fixture) in [
        (60, "a.pt", "stride-models/tests/fixtures/components/dit/trained.pt"),
        (61, "a.npz", "stride-eval/tests/fixtures/stride_statistics.npz"),
    ] {
        fs::copy(crates.join(fixture), place.path().join(file)).expect("committed");
        attack(seed, place.path(), file, 100, &["inspect", file]);
    }
}

#[test]
fn broken_runs_go_on_or_are_refused() {
    let place = compare::place();
    let config = compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), config).expect("writable");
    let train = ["train", "--config", "run.toml", "--resume", "latest"];
    run(place.path(), &train[..3]).expect(0);
    let latest = "runs/base/checkpoint-000002";
    for (seed, file) in (20..).zip([
        format!("{latest}/trainer_state.json"),
        format!("{latest}/model.safetensors"),
        format!("{latest}/config.toml"),
        "runs/base/metrics.jsonl".to_owned(),
    ]) {
        attack(seed, place.path(), &file, 25, &train);
        attack(seed, place.path(), &file, 25, &["inspect", "runs/base"]);
    }
}

#[test]
fn broken_evaluations_go_on_or_are_refused() {
    let place = evaluate::place();
    let weights = evaluate::inception().display().to_string();
    let evaluate = [
        "evaluate",
        "--model",
        "model",
        "--data",
        "data",
        "--samples",
        "3",
        "--steps",
        "1",
        "--inception",
        &weights,
        "--out",
        "out",
    ];
    run(place.path(), &evaluate).expect(0);
    for (seed, file) in (30..).zip(["out/job.json", "out/report.json"]) {
        attack(seed, place.path(), file, 10, &evaluate);
    }
}

#[test]
fn broken_prompts_are_judged_or_refused() {
    let place = prompts::place();
    let evaluate = prompts::arguments(&["--json"]);
    run(place.path(), &evaluate).expect(0);
    attack(40, place.path(), "prompts.jsonl", 60, &evaluate);
}

/// Prompts that a shell can hand over.
#[test]
fn any_prompt_draws_or_is_refused() {
    let place = model::workplace();
    let long = 100 << 10;
    for prompt in [
        String::new(),
        "a".repeat(long),
        "a man ".repeat(long / 6),
        "?!.,;".repeat(long / 5),
        "😀".repeat(long / 4),
        "\u{1b}[31mred\u{7}".to_owned(),
        "--".to_owned(),
    ] {
        let run = run_bounded(
            place.path(),
            &["generate", "--model", "model", "--seed", "1", "-o", "a.png", "--", &prompt],
            &[],
        );
        assert!(run.stderr.len() < 4 * long + 10_000, "{} bytes", run.stderr.len());
    }
}
