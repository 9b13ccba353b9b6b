//! Options of every command, completions and manual pages.

use std::fs;

use crate::model::workplace;
use crate::program::{command, names_in, run};

/// `stride generate` with the tiny model and an unknown word, which is a warning.
const DRAW: [&str; 6] = ["generate", "--model", "model", "a zyzzyva", "-o", "a.png"];

#[test]
fn quiet_leaves_warnings_and_results_and_verbose_says_more() {
    let place = workplace();
    let draw = |more: &[&str]| run(place.path(), &[&DRAW[..], more].concat()).expect(0);
    let usual = draw(&[]);
    assert!(usual.stderr.contains("INFO seed"), "{}", usual.stderr);
    let quiet = draw(&["--quiet"]);
    assert!(quiet.stderr.contains("WARN") && !quiet.stderr.contains("INFO"), "{}", quiet.stderr);
    assert_eq!(quiet.stdout, "a.png\n");
    let verbose = draw(&["-v"]);
    assert!(verbose.stderr.contains("loaded the model tiny"), "{}", verbose.stderr);
    run(place.path(), &["-q", "-v", "inspect", "a.png"]).expect(2).says(&["--verbose"]);
    // Before the command, too.
    assert!(run(place.path(), &[&["-q"], &DRAW[..]].concat()).expect(0).stderr.contains("WARN"));
}

#[test]
fn threads_are_limited_and_change_nothing() {
    let place = workplace();
    let draw = |more: &[&str], environment: Option<&str>| {
        let mut command = command(place.path(), &[&DRAW[..], &["-s", "5", "-v"], more].concat());
        if let Some(threads) = environment {
            command.env("STRIDE_THREADS", threads);
        }
        let output = command.output().expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let image = || fs::read(place.path().join("a.png")).expect("there");
    assert_eq!(draw(&[], None).0, Some(0));
    let usual = image();
    let (code, said) = draw(&["--threads", "1"], None);
    assert!(code == Some(0) && said.contains("1 threads"), "{said}");
    assert_eq!(image(), usual);
    assert!(draw(&[], Some("3")).1.contains("3 threads"));
    assert!(draw(&["--threads", "1"], Some("3")).1.contains("1 threads"));
    for wrong in ["0", "many", "100000"] {
        let (code, said) = draw(&[], Some(wrong));
        assert!(code == Some(2) && said.contains("--threads"), "{said}");
    }
}

#[test]
fn the_environment_has_defaults() {
    let place = workplace();
    let draw = |name: &str, value: &str| {
        let mut command = command(place.path(), &["generate", "a man", "-o", "a.png"]);
        command.env("STRIDE_MODEL", "model").env(name, value);
        let output = command.output().expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(draw("STRIDE_DTYPE", "bf16").0, Some(0));
    let text = run(place.path(), &["inspect", "a.png"]).expect(0).stdout;
    assert!(text.contains("dtype: bf16") && text.contains("model: tiny"), "{text}");
    let (code, said) = draw("STRIDE_DTYPE", "f8");
    assert!(code == Some(2) && said.contains("--dtype"), "{said}");
    let (code, said) = draw("STRIDE_MODEL", "nowhere");
    assert!(code == Some(1) && said.contains("nowhere"), "{said}");
}

#[test]
fn shells_complete_commands_and_options() {
    let place = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(place.path(), &["completions", shell]).expect(0).stdout;
        for part in ["generate", "negative-prompt", "prompt-file", "completions"] {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
    run(place.path(), &["completions", "tcsh"]).expect(2).says(&["bash", "fish"]);
    if let Ok(output) = std::process::Command::new("bash").arg("--version").output()
        && output.status.success()
    {
        let script = run(place.path(), &["completions", "bash"]).expect(0).stdout;
        let ask = "\nCOMP_WORDS=(stride gen); COMP_CWORD=1; _stride stride gen stride; echo ${COMPREPLY[@]}";
        let mut bash = std::process::Command::new("bash");
        let found = bash.args(["-c", &(script + ask)]).output().expect("bash starts");
        assert_eq!(String::from_utf8_lossy(&found.stdout), "generate\n");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let place = tempfile::tempdir().expect("a folder");
    let told = run(place.path(), &["man", "--out", "."]).expect(0).stdout;
    let names = names_in(place.path());
    assert_eq!(told.lines().count(), names.len());
    for name in ["stride.1", "stride-generate.1", "stride-train.1", "stride-export.1"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    let page = fs::read_to_string(place.path().join("stride-generate.1")).expect("a page");
    for part in [".TH stride-generate 1", "\\-\\-prompt\\-file", "\\-\\-interpolate"] {
        assert!(page.to_lowercase().contains(&part.to_lowercase()), "{part} in {page}");
    }
    run(place.path(), &["man", "--out", "nowhere"]).expect(1).says(&["nowhere"]);
}
