//! Wrong usage: exit code 2, before anything is read or written.

use std::fs;

use crate::program::{command, names_in, run};
use crate::{compare, model};

#[test]
fn step_counts_outside_the_range_are_wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for steps in ["0", "129", "abc", "-1", "4.5", ""] {
        let steps = format!("--steps={steps}");
        run(folder.path(), &["generate", "a man", &steps]).expect(2).says(&["1..=128", "--steps"]);
    }
}

#[test]
fn other_arguments_out_of_range_are_wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let last_seed = u64::MAX.to_string();
    let cases: [(&[&str], &str); 33] = [
        (&[], "PROMPT"),
        (&["x", "--count", "0"], "1..=100000"),
        (&["x", "--cfg-scale", "nan"], "at least 0"),
        (&["x", "--cfg-scale=-1"], "at least 0"),
        (&["x", "--cfg-scale", "inf"], "at least 0"),
        (&["x", "--cfg-scale", "1e9"], "at most 100, found 1000000000"),
        (&["x", "--cfg-scale", "1e300"], "saturated colours"),
        (&["x", "--seed=-5"], "--seed"),
        (&["x", "--seed", &last_seed, "--count", "2"], "too large"),
        (&["x", "--device", "abacus"], "expected auto, cpu, gpu, or gpu:N"),
        (&["x", "--dtype", "f8"], "f32"),
        (&["x", "-o", "x.gif"], ".png, .jpg, .jpeg or .webp"),
        (&["x", "-o", "x.jpg", "--format", "webp"], "does not fit the ending .jpg"),
        (&["x", "--quality", "101"], "1..=100"),
        (&["x", "--seed=-2"], "-1 for a random one"),
        (&["x", "--seeds", "5-3"], "0-49"),
        (&["x", "--seeds", "1,2", "--seed", "3"], "--seed"),
        (&["x", "--batch", "0"], "1..=256"),
        (&["x", "-p", "y"], "-p"),
        (&["--prompt-file", "-"], "stdin: expected a prompt a line, found none"),
        (&["x", "--init-image", "a.png"], "--strength"),
        (&["x", "--strength", "0.5"], "--init-image"),
        (&["x", "--init-image", "a.png", "--strength", "0"], "more than 0"),
        (&["x", "--interpolate", "x.webp"], "at least two images"),
        (&["x", "--seeds", "1,2", "--steps", "1,2", "--interpolate", "x.webp"], "one step count"),
        (&["a __hat__", "-o", "x.png"], "wildcards/hat.txt"),
        (&["x", "-o", "-", "--count", "2"], "stdout takes one image"),
        (&["x", "-o", "x.png", "--strip", "x.png"], "one file"),
        (&["x", "-o", "x.png", "--strip", "./x.png"], "one file"),
        (&["x", "-o", "x.png", "--count", "2", "--strip", ".//x-1.png"], "one file"),
        (&["x", "--strip-steps", "1"], "--strip"),
        (&["x", "--seed", "18446744073709551616"], "--seed"),
        (&["x", "--steps", "4", "--strip", "s.png", "--strip-steps", "1,5"], "1..=4"),
    ];
    for (arguments, expected) in cases {
        let arguments = [&["generate"], arguments].concat();
        run(folder.path(), &arguments).expect(2).says(&[expected]);
    }
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn the_cpu_answers_to_its_old_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for device in ["cpu", "flex"] {
        let arguments = ["generate", "a man", "--device", device, "--model", "nowhere"];
        run(folder.path(), &arguments).expect(1).says(&["nowhere"]);
    }
}

#[test]
fn an_unknown_instruction_set_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = command(folder.path(), &["generate", "x", "--model", "nowhere"]);
    let output = command.env("STRIDE_ISA", "nonsense").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("portable, avx2, avx512, avx512bf16, found \"nonsense\""), "{said}");
}

#[test]
fn what_is_missing_is_told_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["train", "--config", "nowhere.toml"][..],
        &["evaluate", "nowhere", "elsewhere"],
        &["inspect", "nowhere"],
        &["plot", "nowhere"],
        &["import", "nowhere.pth", "--out", "x"],
    ] {
        let said = run(folder.path(), arguments).expect(1).says(&["nowhere"]).stderr;
        assert_eq!(said.matches("(os error 2)").count(), 1, "{said}");
    }
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_where_a_file_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status = std::process::Command::new("mkfifo").arg(folder.path().join("pipe.pth")).status();
    assert!(status.expect("the system has mkfifo").success());
    for file in ["pipe.pth", "/dev/zero"] {
        for arguments in [
            &["inspect", file][..],
            &["train", "--config", file],
            &["import", file, "--out", "x"],
            &["evaluate", file, file],
            &["plot", file],
        ] {
            run(folder.path(), arguments).expect(1).says(&[file]);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_model_or_run_is_refused_by_name() {
    let pipe_at = |path: &std::path::Path| {
        fs::remove_file(path).expect("there");
        let status = std::process::Command::new("mkfifo").arg(path).status();
        assert!(status.expect("the system has mkfifo").success());
    };
    for name in ["model_index.json", "vae/config.json", model::TRANSFORMER_WEIGHTS] {
        let place = model::workplace();
        pipe_at(&model::in_model(&place, name));
        run(place.path(), &["generate", "--model", "model", "a man", "-o", "a.png"])
            .expect(1)
            .says(&[name.rsplit('/').next().expect("a name"), "found a pipe or device"]);
    }
    let place = compare::place();
    let config = compare::BASE.replace("max_seconds = 1000", "max_steps = 1");
    fs::write(place.path().join("run.toml"), config).expect("writable");
    let train = ["train", "--config", "run.toml", "--resume", "auto"];
    run(place.path(), &train).expect(0);
    pipe_at(&place.path().join("runs/base/metrics.jsonl"));
    run(
        place.path(),
        &[&train[..], &["--set", "training.budget.max_steps=2", "--allow-changes"]].concat(),
    )
    .expect(1)
    .says(&["metrics.jsonl", "found a pipe or device"]);
}

#[test]
fn help_and_version_are_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let help = run(folder.path(), &["--help"]).expect(0).stdout;
    for command in ["bench", "evaluate", "generate", "inspect", "train"] {
        assert!(help.contains(command), "{help}");
        assert!(!run(folder.path(), &[command, "--help"]).expect(0).stdout.is_empty());
    }
    assert!(run(folder.path(), &["--version"]).expect(0).stdout.starts_with("stride "));
    run(folder.path(), &[]).expect(2);
    run(folder.path(), &["paint"]).expect(2).says(&["paint"]);
}
