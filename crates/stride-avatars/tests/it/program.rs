//! The program: output, exit codes, messages.

use std::process::{Command, Output};

fn stride_avatars(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stride-avatars")).args(arguments).output().expect("starts")
}

#[test]
fn it_writes_a_folder_and_prints_one_json_object() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("avatars");
    let out = out.to_str().expect("UTF-8");
    let arguments =
        ["--out", out, "--count", "5", "--resolution", "32", "--split", "heldout", "--json"];
    let output = stride_avatars(&arguments);
    assert!(output.status.success(), "{output:?}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    assert_eq!(summary["images"], 5);
    assert_eq!(summary["split"], "heldout");
    assert!(folder.path().join("avatars/metadata.jsonl").exists());

    assert_eq!(
        (&summary["distribution"], &summary["captions_as"]),
        (&"natural".into(), &"mixed".into())
    );

    let again = stride_avatars(&arguments);
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stdout.is_empty());
    let message = String::from_utf8_lossy(&again.stderr);
    assert!(message.contains("is not empty") && message.contains("choose another"), "{message}");
}

#[test]
fn data_for_training_are_asked_for_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    for captions in ["complete", "people", "short"] {
        let out = folder.path().join(captions);
        let out = out.to_str().expect("UTF-8");
        let output = stride_avatars(&[
            "--out",
            out,
            "--count",
            "3",
            "--resolution",
            "32",
            "--distribution",
            "flat",
            "--captions",
            captions,
            "--json",
        ]);
        assert!(output.status.success(), "{output:?}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("is JSON");
        assert_eq!(summary["distribution"], "flat");
        assert_eq!(summary["captions_as"], captions);
        assert_eq!(summary["captions"], 24);
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let output = stride_avatars(&["--out", "unused", "--count", "many"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = stride_avatars(&["--out", "unused", "--count", "1", "--split", "test"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
