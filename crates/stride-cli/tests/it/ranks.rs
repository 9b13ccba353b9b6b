//! Several processes that train together, started by `mpirun`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::compare;
use crate::program::names_in;

const STEPS: u64 = 50;

/// A small transformer on latents, in batches of 16.
fn place() -> TempDir {
    let place = compare::place();
    let base = compare::BASE.replace("max_seconds = 1000", &format!("max_steps = {STEPS}"));
    assert!(base.contains("batch_size = "));
    fs::write(place.path().join("run.toml"), base).expect("writable");
    place
}

fn train(place: &Path, ranks: usize, run_dir: &str, more: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    // Containers have one user, and few cores.
    let flags = ["--allow-run-as-root", "--oversubscribe", "-n"];
    command.args(flags).arg(ranks.to_string()).arg(env!("CARGO_BIN_EXE_stride"));
    command.args(["train", "--config", "run.toml", "--run-dir", run_dir]);
    command.args(["--set", "dit.batch_size=16", "--set", "training.deterministic=true"]);
    command.args(more).current_dir(place).env("STRIDE_RANK_TIMEOUT", "60");
    command
}

fn run(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("mpirun is installed");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The weights, averages and moments of a run's last checkpoint.
fn end_of(place: &Path, run_dir: &str) -> Vec<(String, Vec<u8>)> {
    let dir = place.join(run_dir).join(format!("checkpoint-{STEPS:06}"));
    let names = names_in(&dir).into_iter().filter(|name| name.ends_with(".safetensors"));
    names.map(|name| (name.clone(), fs::read(dir.join(name)).expect("readable"))).collect()
}

#[test]
fn one_two_and_four_processes_train_the_same_to_the_byte() {
    let place = place();
    let place = place.path();
    for ranks in [1, 2, 4] {
        let (code, said) = run(train(place, ranks, &format!("of-{ranks}"), &[]));
        assert_eq!(code, Some(0), "{said}");
    }
    let alone = end_of(place, "of-1");
    assert!(alone.len() >= 3);
    for ranks in [2, 4] {
        let found = end_of(place, &format!("of-{ranks}"));
        let differ: Vec<_> = alone.iter().zip(&found).filter(|(a, b)| a != b).collect();
        let names: Vec<_> = differ.iter().map(|(a, _)| &a.0).collect();
        assert!(names.is_empty() && found.len() == alone.len(), "of {ranks}: {names:?} differ");
    }
    // In any order, up to rounding.
    let loss = |run_dir: &str| -> f64 {
        let text = fs::read_to_string(place.join(run_dir).join("metrics.jsonl")).expect("written");
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line));
        lines.filter_map(|line| line.ok()?["loss"].as_f64()).next_back().expect("a loss")
    };
    let (code, said) = run(train(place, 3, "free", &["--set", "training.deterministic=false"]));
    assert_eq!(code, Some(0), "{said}");
    let (expected, found) = (loss("of-1"), loss("free"));
    assert!((expected - found).abs() < 1e-3 * expected, "{found} instead of {expected}");
    let (code, said) = run(train(place, 3, "odd", &[]));
    assert!(code != Some(0) && said.contains("1, 2, 4 or 8 processes"), "{said}");
}

#[test]
fn processes_that_differ_are_refused() {
    let place = place();
    let mut command = train(place.path(), 1, "run", &[]);
    // A second group of processes, with another seed.
    command.args([":", "-n", "1", env!("CARGO_BIN_EXE_stride"), "train", "--config", "run.toml"]);
    command.args(["--run-dir", "run", "--set", "dit.batch_size=16", "--set", "seed=9"]);
    command.args(["--set", "training.deterministic=true"]);
    let (code, said) = run(command);
    assert!(code != Some(0), "{said}");
    assert!(said.contains("the configuration: expected the same in all processes"), "{said}");
    assert!(!place.path().join("run/metrics.jsonl").exists());
}

#[test]
fn a_dead_process_ends_the_job_and_a_restart_resumes_exactly() {
    let place = place();
    let place = place.path();
    let more = ["--set", "training.output.checkpoint_every_steps=5"];
    let (code, said) = run(train(place, 2, "whole", &more));
    assert_eq!(code, Some(0), "{said}");
    for signal in ["KILL", "STOP"] {
        let run_dir = format!("after-{signal}");
        let mut command = train(place, 2, &run_dir, &more);
        let mut job = command.env("STRIDE_RANK_TIMEOUT", "2").spawn().expect("starts");
        let first = place.join(&run_dir).join("checkpoint-000005");
        let start = Instant::now();
        while !first.exists() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // The last of the launcher's children.
        let children = Command::new("pgrep").args(["-P", &job.id().to_string()]).output();
        let children = String::from_utf8(children.expect("pgrep").stdout).expect("numbers");
        let last = children.lines().last().expect("a process").to_owned();
        let kill = Command::new("kill").args(["-s", signal, &last]).status();
        assert!(kill.expect("kill").success(), "it ended too soon");
        let start = Instant::now();
        assert!(!job.wait().expect("ends").success(), "{signal}");
        assert!(start.elapsed() < Duration::from_secs(30), "{signal}: {:?}", start.elapsed());
        let _ = Command::new("kill").args(["-s", "KILL", &last]).output();
        let (code, said) =
            run(train(place, 2, &run_dir, &[&more[..], &["--resume", "latest"]].concat()));
        assert_eq!(code, Some(0), "{said}");
        assert!(end_of(place, &run_dir) == end_of(place, "whole"), "after {signal}");
    }
}
