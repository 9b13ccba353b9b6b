//! Kills at random moments: what was whole before is whole after, and the same command goes on to the same end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use stride_data::PreparedSet;

use crate::mutations::Draws;
use crate::program::{command, names_in, run};
use crate::{compare, evaluate, model, train};

/// How often each command is killed: 200 times where `RUN_SLOW_TESTS` is set.
fn kills(few: usize) -> usize {
    if std::env::var_os("RUN_SLOW_TESTS").is_some() { 200 } else { few }
}

/// A command that is killed again and again.
struct Victim<'a> {
    place: &'a Path,
    arguments: Vec<&'a str>,
    /// What a run takes that is not killed.
    whole: Duration,
    draws: Draws,
}

impl<'a> Victim<'a> {
    /// Measures an uninterrupted run, of these arguments and `more`.
    #[track_caller]
    fn new(seed: u64, place: &'a Path, arguments: &[&'a str], more: &[&str]) -> Self {
        let start = Instant::now();
        run(place, &[arguments, more].concat()).expect(0);
        Self { place, arguments: arguments.to_vec(), whole: start.elapsed(), draws: Draws(seed) }
    }

    /// Starts the command and kills it before long; whether it ended by itself first, which must be in success.
    #[track_caller]
    fn kill_once(&mut self, more: &[&str]) -> bool {
        let arguments = [&self.arguments[..], more].concat();
        let delay = self.whole.mul_f64(self.draws.below(1100) as f64 / 1000.0);
        let mut quiet = command(self.place, &arguments);
        let errors = tempfile::tempfile().expect("a temporary file");
        let stderr = errors.try_clone().expect("a file");
        let mut child = quiet.stdout(Stdio::null()).stderr(stderr).spawn().expect("starts");
        std::thread::sleep(delay);
        // A program that has ended already cannot be killed.
        _ = child.kill();
        let code = child.wait().expect("a child").code();
        if code.is_some_and(|code| code != 0) {
            use std::io::{Read as _, Seek as _};
            let mut text = String::new();
            let mut errors = errors;
            _ = errors.rewind();
            _ = errors.read_to_string(&mut text);
            panic!("{code:?} after {delay:?}: {text}");
        }
        code.is_some()
    }
}

/// Paths below a folder and the bytes of their files.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in names_in(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            let inner = contents(&path).into_iter();
            found.extend(inner.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).expect("readable"));
        }
    }
    found
}

/// Fails the test unless two folders have the same files; says which differ instead of showing them.
#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    let different: Vec<_> = found.keys().filter(|name| found[*name] != expected[*name]).collect();
    assert!(different.is_empty(), "{different:?} differ");
}

/// The run of `train`, longer, and with a checkpoint at every step.
fn autoencoder() -> String {
    let longer = "max_steps = 12\n[training.output]\ncheckpoint_every_seconds = 0\n\
        report_every_seconds = 0\nmetrics_every_steps = 1\n";
    train::CONFIG.replace("max_steps = 2\n", longer)
}

/// What a run promises to be the same: the weights, averages and moments of its last checkpoint, and the model.
fn end_of_run(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = contents(dir);
    files.retain(|name, _| {
        name.starts_with("model/")
            || (name.starts_with("checkpoint-000012/") && name.ends_with(".safetensors"))
    });
    files
}

/// The steps in a run's metrics, which must be whole lines.
fn steps_in(metrics: &Path) -> Vec<u64> {
    let text = fs::read_to_string(metrics).expect("written");
    let step = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let is_training = !line["loss"].is_null();
        is_training.then(|| line["step"].as_u64().expect("a step"))
    };
    text.lines().filter_map(step).collect()
}

#[test]
fn killed_trainings_go_on_to_the_same_end() {
    let place = compare::place();
    fs::write(place.path().join("run.toml"), autoencoder()).expect("writable");
    let train = ["train", "--config", "run.toml"];
    let mut victim = Victim::new(1, place.path(), &train, &["--run-dir", "whole"]);
    let whole = end_of_run(&place.path().join("whole"));
    assert!(whole.len() > 3);
    let run_dir = place.path().join("run");
    let (mut ended, mut exported) = (0, 0);
    for _ in 0..kills(12) {
        let before = stride_train::Checkpoint::all(&run_dir).last().map(|&(step, _)| step);
        let has_ended = victim.kill_once(&["--resume", "auto"]);
        let after = stride_train::Checkpoint::all(&run_dir).last().map(|&(step, _)| step);
        assert!(after >= before, "a run of {before:?} steps came to {after:?}");
        if after.is_some() {
            stride_train::Checkpoint::open(&run_dir, &stride_train::Resume::Latest)
                .expect("the latest checkpoint is whole");
        }
        if run_dir.join("model").exists() {
            exported += 1;
            let model = contents(&run_dir.join("model"));
            let expected = contents(&place.path().join("whole/model"));
            assert_same(&model, &expected);
        }
        if has_ended {
            ended += 1;
            assert_same(&end_of_run(&run_dir), &whole);
            fs::remove_dir_all(&run_dir).expect("there");
        }
    }
    println!("{ended} runs ended, {exported} times there was a model");
    run(place.path(), &[&train[..], &["--resume", "auto"]].concat()).expect(0);
    assert_same(&end_of_run(&run_dir), &whole);
    assert_eq!(steps_in(&run_dir.join("metrics.jsonl")), (1..=12).collect::<Vec<_>>());
    // Neither the metrics nor what a kill left of a folder grows.
    assert_eq!(names_in(&run_dir), names_in(&place.path().join("whole")));
}

/// The last step alone is made again and again, most of which is the export of the model.
#[test]
fn a_killed_export_leaves_the_model_that_was_there_or_the_new_one() {
    let place = compare::place();
    fs::write(place.path().join("run.toml"), autoencoder()).expect("writable");
    let train = |steps: &'static str| ["train", "--config", "run.toml", "--set", steps];
    let (first, second) = ("training.budget.max_steps=2", "training.budget.max_steps=3");
    run(place.path(), &train(first)).expect(0);
    let run_dir = place.path().join("run");
    let old = contents(&run_dir.join("model"));
    let checkpoint = contents(&run_dir.join("checkpoint-000002"));
    let arguments = [&train(second)[..], &["--resume", "auto"]].concat();
    let mut victim = Victim::new(2, place.path(), &arguments, &[]);
    let new = contents(&run_dir.join("model"));
    assert_ne!(old, new);
    let mut counts = [0; 2];
    for _ in 0..kills(10) {
        // Back to where the model of two steps lies there.
        for folder in ["model", "checkpoint-000002", "checkpoint-000003"] {
            _ = fs::remove_dir_all(run_dir.join(folder));
        }
        for (folder, files) in [("model", &old), ("checkpoint-000002", &checkpoint)] {
            for (name, bytes) in files {
                let path = run_dir.join(folder).join(name);
                fs::create_dir_all(path.parent().expect("inside")).expect("writable");
                fs::write(path, bytes).expect("writable");
            }
        }
        victim.kill_once(&[]);
        let found = contents(&run_dir.join("model"));
        assert_same(&found, if found == new { &new } else { &old });
        counts[usize::from(found == new)] += 1;
    }
    println!("{} times the old model, {} times the new one", counts[0], counts[1]);
}

#[test]
fn killed_preparations_go_on_to_the_same_end() {
    let place = compare::place();
    let prepare =
        ["prepare", "--source", "data", "--vae", "model/vae", "--resolution", "16", "--out"];
    let listing = place.path().join("data/metadata.jsonl");
    let all = fs::read_to_string(&listing).expect("written");
    let some: String = all.lines().take(7).map(|line| format!("{line}\n")).collect();
    let out = place.path().join("out");
    let arguments = [&prepare[..], &["out"]].concat();
    let mut victim = Victim::new(3, place.path(), &prepare, &["whole"]);
    victim.arguments = arguments.clone();
    let whole = contents(&place.path().join("whole"));
    let mut refused = 0;
    for round in 0..kills(12) {
        // The set grows and shrinks.
        fs::write(&listing, if round % 2 == 0 { &some } else { &all }).expect("writable");
        victim.kill_once(&[]);
        match PreparedSet::open(&out, None) {
            Ok(set) => assert!([7, 12].contains(&set.len()), "{} images", set.len()),
            // Said to be unfinished, never taken for another set.
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    println!("{refused} times the folder was unfinished");
    fs::write(&listing, &all).expect("writable");
    run(place.path(), &arguments).expect(0);
    assert_same(&contents(&out), &whole);
}

#[test]
fn killed_drawings_leave_whole_images() {
    let place = model::workplace();
    fs::create_dir(place.path().join("whole")).expect("writable");
    let out = place.path().join("out");
    fs::create_dir(&out).expect("writable");
    let base = ["generate", "--model", "model", "a man", "--count", "12", "--seed", "3", "-o"];
    let mut victim = Victim::new(4, place.path(), &base, &["whole/a.png"]);
    let whole = contents(&place.path().join("whole"));
    assert_eq!(whole.len(), 12);
    for _ in 0..kills(12) {
        let had = contents(&out);
        let has_ended = victim.kill_once(&["out/a.png"]);
        let found = contents(&out);
        let is_image = |name: &str| !name.starts_with(".stride-");
        for (name, bytes) in found.iter().filter(|(name, _)| is_image(name)) {
            assert!(bytes == &whole[name], "{name} is torn");
        }
        for name in had.keys().filter(|name| is_image(name)) {
            assert!(found.contains_key(name), "{name} is lost");
        }
        if has_ended {
            fs::remove_dir_all(&out).expect("there");
            fs::create_dir(&out).expect("writable");
        }
    }
    run(place.path(), &[&base[..], &["out/a.png"]].concat()).expect(0);
    let mut found = contents(&out);
    found.retain(|name, _| !name.starts_with(".stride-"));
    assert_same(&found, &whole);
}

#[test]
fn killed_evaluations_go_on_to_the_same_end() {
    let place = evaluate::place();
    let weights = evaluate::inception().display().to_string();
    let base = [
        "evaluate",
        "--model",
        "model",
        "--data",
        "data",
        "--samples",
        "3",
        "--steps",
        "1,2",
        "--inception",
        &weights,
        "--out",
    ];
    let mut victim = Victim::new(5, place.path(), &base, &["whole"]);
    let report = fs::read(place.path().join("whole/report.json")).expect("written");
    let out = place.path().join("out");
    let mut ended = 0;
    for _ in 0..kills(4) {
        let blocks = features(&out);
        let has_ended = victim.kill_once(&["out"]);
        let after = features(&out);
        for (name, bytes) in &blocks {
            assert!(after.get(name) == Some(bytes), "{name} is lost or changed");
        }
        for (name, bytes) in after.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
            assert!(SafeTensors::deserialize(bytes).is_ok(), "{name} is torn");
        }
        if has_ended {
            ended += 1;
            assert!(fs::read(out.join("report.json")).expect("written") == report);
            fs::remove_dir_all(&out).expect("there");
        }
    }
    println!("{ended} evaluations ended");
    run(place.path(), &[&base[..], &["out"]].concat()).expect(0);
    assert!(fs::read(out.join("report.json")).expect("written") == report);
}

/// What an evaluation has measured so far.
fn features(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let dir = out.join("features");
    let mut files = if dir.is_dir() { contents(&dir) } else { BTreeMap::new() };
    files.retain(|name, _| !name.contains(".stride-"));
    files
}
