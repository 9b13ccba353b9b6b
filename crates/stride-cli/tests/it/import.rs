//! `stride import`.

use std::fs;
use std::path::Path;

use crate::program::run;

/// The folders that torch and transformers wrote.
const FIXTURES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../stride-models/tests/fixtures/components");

#[test]
fn a_checkpoint_of_torch_becomes_a_component() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let source = format!("{FIXTURES}/pytorch");
    let report = run(place.path(), &["import", &source, "--out", "text"]).expect(0).stdout;
    for part in [
        "36 tensors",
        "a CLIPTextModel, from config.json",
        "wrote text: config.json, model.safetensors",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let text = run(place.path(), &["inspect", "text"]).expect(0).stdout;
    for part in ["network: CLIPTextModel", "tensors of F32", "encoder.layers: 2", "[40, 16]"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let raw = run(place.path(), &["inspect", &source]).expect(0).stdout;
    assert!(raw.contains("cannot be loaded") && raw.contains("stride import"), "{raw}");
    let found = run(place.path(), &["inspect", "text", "--json"]).expect(0).json();
    let network = &found["components"][""]["network"];
    assert_eq!(network["shapes"]["embeddings.token_embedding.weight"], serde_json::json!([40, 16]));
    run(place.path(), &["import", &source, "--out", "text"]).expect(1).says(&["an empty folder"]);

    let checkpoint = format!("{FIXTURES}/dit/trained.pt");
    let report = run(place.path(), &["import", &checkpoint, "--out", "dit"]).expect(0).stdout;
    assert!(
        report.contains("the entry ema") && report.contains("a DiT, inferred from its shapes"),
        "{report}"
    );
}

#[test]
fn pickles_that_want_code_are_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let source = Path::new(FIXTURES).join("pytorch_command");
    let source = source.to_str().expect("text");
    run(place.path(), &["import", source, "--out", "x"])
        .expect(1)
        .says(&["posix.system", "nothing was run"]);
    fs::write(place.path().join("notes.bin"), "hello").expect("writable");
    run(place.path(), &["import", "notes.bin", "--out", "x"]).expect(1).says(&["notes.bin"]);
    run(place.path(), &["import", "nowhere.pth", "--out", "x"]).expect(1).says(&["nowhere.pth"]);
}
