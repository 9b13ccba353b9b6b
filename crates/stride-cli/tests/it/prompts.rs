//! `stride evaluate --prompts`: a tiny model judged by the classifier that comes with the project.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::model::workplace;
use crate::program::{Run, names_in, run};

/// Prompts in the order of their lines, the second of which is blank.
const PROMPTS: &str = r#"{"text": "a man with glasses", "attributes": {"gender": "man", "glasses": ["glasses", "round glasses"]}}

{"text": "a smiling woman with a red hat", "attributes": {"gender": "woman", "expression": "smiling", "headwear_color": "red"}}
"#;

/// A workplace with a tiny model and prompts.
pub(crate) fn place() -> TempDir {
    let place = workplace();
    fs::write(place.path().join("prompts.jsonl"), PROMPTS).expect("writable");
    place
}

/// The arguments of an evaluation of the prompts; the classifier is not part of every build of the program.
pub(crate) fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    const CLASSIFIER: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/avatars-classifier");
    let base = ["evaluate", "--model", "model", "--prompts", "prompts.jsonl", "--steps", "1,2"];
    [&base[..], &["--seeds", "3", "--classifier", CLASSIFIER], more].concat()
}

fn evaluate(place: &TempDir, more: &[&str]) -> Run {
    run(place.path(), &arguments(more))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("written")).expect("JSON")
}

#[test]
fn prompts_are_judged_and_the_same_command_gives_the_same_report() {
    let place = place();
    let first = evaluate(&place, &["--out", "out", "--save-images"]).expect(0);
    for part in [
        "2 prompts of prompts.jsonl, drawn with 3 seeds each",
        "| steps | attributes shown",
        "| gender | 6 |",
        "## Prompts that miss most",
        "judged by the attribute classifier with weights",
    ] {
        assert!(first.stdout.contains(part), "{part} is not in:\n{}", first.stdout);
    }
    let out = place.path().join("out");
    let report = json(&out.join("report.json"));
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(2));
    let row = &report["rows"][1];
    assert_eq!(row["steps"], 2);
    assert_eq!([&row["attributes_shown"]["of"], &row["images_right"]["of"]], [15, 6]);
    let lines: Vec<&Value> =
        report["failures"].as_array().expect("a list").iter().map(|f| &f["line"]).collect();
    assert!(lines.iter().all(|line| *line == 1 || *line == 3), "{lines:?}");
    let page = fs::read_to_string(out.join("report.html")).expect("written");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("<svg"), "images and curves");
    assert!(!page.contains("src=\"http") && !page.contains("href="), "one file is enough");
    assert_eq!(names_in(&out.join("images/prompts/steps-2")).len(), 6);
    for name in ["report.md", "steps.jpg"] {
        assert!(out.join(name).exists(), "{name}");
    }

    // Elsewhere, of what `generate` draws from the same seeds, and after a loss.
    assert_eq!(evaluate(&place, &["--json"]).expect(0).json(), report);
    let seed = ["--seed", "3", "--count", "3", "--steps", "2", "-o", "woman.png"];
    let prompt = ["generate", "--model", "model", "a smiling woman with a red hat"];
    run(place.path(), &[&prompt[..], &seed].concat()).expect(0);
    let pixels = |path: &Path| image::open(path).expect("an image").into_rgb8();
    assert_eq!(
        pixels(&place.path().join("woman-2.png")),
        pixels(&out.join("images/prompts/steps-2/000005.png"))
    );
    fs::remove_file(out.join("features/prompts/steps-1/000000.safetensors")).expect("there");
    evaluate(&place, &["--out", "out"]).expect(0);
    assert_eq!(json(&out.join("report.json")), report);
    let other = evaluate(&place, &["--json", "--seed", "9"]).expect(0).json();
    let samples = |report: &Value| report["rows"][0]["certificate"]["samples_sha256"].clone();
    assert_ne!(samples(&other), samples(&report));

    // Other prompts are another evaluation.
    fs::write(
        place.path().join("prompts.jsonl"),
        PROMPTS.replace("glasses\", \"attr", "beard\", \"attr"),
    )
    .expect("writable");
    evaluate(&place, &["--out", "out"]).expect(1).says(&["prompts is", "name another folder"]);
}

#[test]
fn parts_of_prompts_merge() {
    let place = place();
    let whole = evaluate(&place, &["--json"]).expect(0).json();
    for part in ["0", "1"] {
        let shard = format!("{part}/2");
        evaluate(&place, &["--out", part, "--shard", &shard]).expect(0);
    }
    let merge = ["evaluate", "merge", "0", "1", "--out", "merged", "--json"];
    assert_eq!(run(place.path(), &merge).expect(0).json(), whole);
    assert!(place.path().join("merged/report.html").exists());
}

#[test]
fn wrong_usage_and_bad_prompts_are_refused_before_anything_is_drawn() {
    let place = place();
    for (more, expected) in [
        (&["--data", "data"][..], "--data"),
        (&["--samples", "5"], "--samples"),
        (&["--heldout", "data"], "--heldout"),
        (&["--run", "run"], "--run"),
        (&["--bootstrap", "5"], "--bootstrap"),
        (&["--clip", "clip"], "--clip"),
        (&["--inception", "w.pth"], "--inception"),
        (&["--seeds", "0"], "1..=1000"),
        (&["a", "b"], "--prompts"),
    ] {
        run(place.path(), &[&["evaluate", "--prompts", "prompts.jsonl"], more].concat())
            .expect(2)
            .says(&[expected]);
    }
    let data = ["evaluate", "--data", "data", "--seeds", "2"];
    run(place.path(), &data).expect(2).says(&["--seeds"]);

    let file = place.path().join("prompts.jsonl");
    for (text, expected) in [
        ("", "prompts.jsonl: no prompts; expected lines such as"),
        ("{\"text\": \"a\"}", "prompts.jsonl: line 1: missing field `attributes`"),
        (
            "{\"text\": \"a\", \"attributes\": {\"hair_colour\": \"red\"}}",
            "line 1: attribute \"hair_colour\" is none that the classifier tells (did you mean \"hair_color\"?)",
        ),
        (
            "\n{\"text\": \"a\", \"attributes\": {\"glasses\": [\"sunglases\"]}}",
            "line 2: glasses: value \"sunglases\" is none that the classifier tells (did you mean \"sunglasses\"?)",
        ),
        ("{\"text\": \"a\\u0000\", \"attributes\": {\"gender\": \"man\"}}", "a NUL character"),
    ] {
        fs::write(&file, text).expect("writable");
        evaluate(&place, &["--out", "out"]).expect(1).says(&[expected]);
    }
    fs::remove_file(&file).expect("there");
    evaluate(&place, &["--out", "out"]).expect(1).says(&["prompts.jsonl: No such file"]);
    fs::create_dir(&file).expect("writable");
    evaluate(&place, &["--out", "out"]).expect(1).says(&["expected a file, found a folder"]);
    assert!(!place.path().join("out").exists());
}
