//! `stride inspect`.

use std::fs;

use serde_json::json;

use crate::model::{TRANSFORMER_WEIGHTS, in_model, workplace};
use crate::program::run;

#[test]
fn an_image_tells_its_settings() {
    let place = workplace();
    let generate = ["generate", "--model", "model", "a man 😀", "--seed", "9", "-o", "a.png"];
    run(place.path(), &generate).expect(0);
    let text = run(place.path(), &["inspect", "a.png"]).expect(0).stdout;
    for part in ["16x16", "a man 😀", "Seed: 9", "Model: tiny"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let found = run(place.path(), &["inspect", "a.png", "--json"]).expect(0).json();
    assert_eq!(found["kind"], "png");
    assert_eq!(found["stride"]["seed"], 9);
    assert_eq!(found["width"], 16);

    let again = ["generate", "--model", "model", "x", "-o", "b.png", "--disable-image-metadata"];
    run(place.path(), &again).expect(0);
    let text = run(place.path(), &["inspect", "b.png"]).expect(0).stdout;
    assert!(text.contains("does not say"), "{text}");
}

#[test]
fn a_weights_file_lists_its_tensors() {
    let place = workplace();
    let file = format!("model/{TRANSFORMER_WEIGHTS}");
    let text = run(place.path(), &["inspect", &file]).expect(0).stdout;
    assert!(text.contains("F32") && text.contains("[32, 32]"), "{text}");
    let found = run(place.path(), &["inspect", &file, "--json"]).expect(0).json();
    assert_eq!(found["kind"], "safetensors");
    let bytes = fs::metadata(in_model(&place, TRANSFORMER_WEIGHTS)).expect("a file").len();
    assert_eq!(found["bytes"], bytes);
    let sum = |tensor: &serde_json::Value| -> u64 {
        tensor["shape"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|size| size.as_u64())
            .product()
    };
    let tensors = found["tensors"].as_array().expect("a list");
    assert_eq!(found["parameters"], json!(tensors.iter().map(sum).sum::<u64>()));
}

#[test]
fn a_model_folder_lists_its_components() {
    let place = workplace();
    let text = run(place.path(), &["inspect", "model"]).expect(0).stdout;
    for part in
        ["tiny", "transformer/", "hidden_size: 32", "text_encoder/", "vae/", "parameters in all"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let found = run(place.path(), &["inspect", "model", "--json"]).expect(0).json();
    assert_eq!(found["index"]["name"], "tiny");
    let transformer = &found["components"]["transformer"];
    assert_eq!(transformer["config"]["depth"], 1);
    assert_eq!(transformer["network"]["stacks"]["blocks"], 1);
    assert_eq!(transformer["network"]["parameters"], transformer["parameters"]);
    assert!(text.contains("network: AutoencoderTiny"), "{text}");
    let one = run(place.path(), &["inspect", "model/vae", "--json"]).expect(0).json();
    assert!(
        one["parameters"].as_u64().expect("a number")
            < found["parameters"].as_u64().expect("a number")
    );
}

#[test]
fn damaged_and_foreign_files_are_errors() {
    let place = workplace();
    let path = in_model(&place, TRANSFORMER_WEIGHTS);
    let whole = fs::read(&path).expect("a file");
    for length in [0, 5, 8, 100, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("writable");
        let file = format!("model/{TRANSFORMER_WEIGHTS}");
        run(place.path(), &["inspect", &file]).expect(1).says(&["error: ", &file]);
        run(place.path(), &["inspect", "model"]).expect(1).says(&["error: ", &file]);
    }
    run(place.path(), &["generate", "--model", "model", "x", "-o", "a.png"]).expect(1);
    for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"hello", b""] {
        fs::write(place.path().join("x.png"), bytes).expect("writable");
        run(place.path(), &["inspect", "x.png"]).expect(1).says(&["error: ", "x.png"]);
    }
    run(place.path(), &["inspect", "nowhere"]).expect(1).says(&["error: ", "nowhere"]);
    fs::create_dir(place.path().join("empty")).expect("writable");
    run(place.path(), &["inspect", "empty"]).expect(1).says(&["model_index.json"]);
}

#[test]
fn nothing_in_a_file_steers_the_terminal() {
    let place = workplace();
    let prompt = "a man \u{1b}]0;title\u{7} \u{9b}2J\u{202e}";
    run(place.path(), &["generate", "--model", "model", prompt, "-o", "a.png"]).expect(0);
    let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    let text = run(place.path(), &["inspect", "a.png"]).expect(0).stdout;
    assert!(text.contains("\\u{1b}]0;title") && !text.contains(steers), "{text:?}");
    let json = run(place.path(), &["inspect", "a.png", "--json"]).expect(0);
    assert!(!json.stdout.contains(steers), "{:?}", json.stdout);
    assert_eq!(json.json()["stride"]["prompt"], prompt);
}
