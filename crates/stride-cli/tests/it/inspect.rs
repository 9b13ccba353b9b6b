//! `stride inspect`.

use std::fs;

use serde_json::json;

use crate::compare;
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
fn a_text_tells_its_tokens() {
    let place = workplace();
    let inspect = |text: &str, more: &[&str]| {
        let base = ["inspect", "--model", "model", "--tokens", text];
        run(place.path(), &[&base[..], more].concat()).expect(0)
    };
    let text = inspect("A man with glases!!!", &[]).stdout;
    for part in ["320", "a</w>", "man</w>", "!!!", "left out", "glases (did you mean glasses?)"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let found = inspect("a man with (glasses:1.3)\u{1b}", &["--json"]).json();
    let tokens = found["tokens"].as_array().expect("a list");
    // Start, four words and end, as CLIP numbers them; the control character is left out.
    let ids: Vec<_> = tokens.iter().filter(|t| !t["row"].is_null()).map(|t| &t["id"]).collect();
    assert_eq!(ids.len(), 6, "{found}");
    assert_eq!([ids[0], ids[1], ids[2], ids[3], ids[5]], [49406, 320, 786, 593, 49407]);
    assert_eq!(found["report"]["without_weights"], "a man with glasses\u{1b}");
    assert!(found["report"]["unknown_words"].as_array().is_some_and(Vec::is_empty), "{found}");
    run(place.path(), &["inspect"]).expect(2).says(&["FILE"]);
    run(place.path(), &["inspect", "a.png", "--tokens", "a"]).expect(2).says(&["--tokens"]);
    run(place.path(), &["inspect", "a.png", "--model", "model"]).expect(2).says(&["--model"]);
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
fn runs_checkpoints_and_prepared_data_tell_where_they_stand() {
    let place = compare::place();
    let config = compare::BASE.replace("max_seconds = 1000", "max_steps = 2");
    fs::write(place.path().join("run.toml"), config).expect("writable");
    run(place.path(), &["train", "--config", "run.toml"]).expect(0);
    let inspect = |file: &str| run(place.path(), &["inspect", file]).expect(0).stdout;
    let json = |file: &str| run(place.path(), &["inspect", file, "--json"]).expect(0).json();

    let text = inspect("runs/base");
    for part in
        ["training run", "kind: dit", "batch_size: 8", "1 checkpoint, at step 2", "one_step_std: "]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let found = json("runs/base");
    assert_eq!([&found["kind"], &found["config"]["kind"]], ["run", "dit"]);
    assert_eq!(found["checkpoints"], json!([2]));
    assert_eq!(found["metrics"]["step"], 2);
    assert_eq!(found["model"], "runs/base/model");

    let checkpoint = "runs/base/checkpoint-000002";
    assert!(inspect(checkpoint).starts_with("checkpoint, complete\n"), "{}", inspect(checkpoint));
    let found = json(checkpoint);
    assert_eq!([&found["kind"], &found["config"]["kind"]], ["checkpoint", "dit"]);
    assert_eq!(found["state"]["step"], 2);
    let weights = place.path().join(checkpoint).join("model.safetensors");
    let whole = fs::read(&weights).expect("written");
    fs::write(&weights, &whole[..whole.len() - 1]).expect("writable");
    run(place.path(), &["inspect", checkpoint]).expect(1).says(&["not the one that was saved"]);

    let prepare = ["prepare", "--source", "data", "--vae", "model/vae", "--resolution", "16"];
    run(place.path(), &[&prepare[..], &["--out", "prepared"]].concat()).expect(0);
    let text = inspect("prepared");
    assert!(text.starts_with("prepared data, complete, 7 files"), "{text}");
    let found = json("prepared");
    assert_eq!([&found["header"]["pictures"], &found["header"]["resolution"]], [12, 16]);
    fs::write(place.path().join("prepared/prepared.json"), "{").expect("writable");
    run(place.path(), &["inspect", "prepared"]).expect(1).says(&["prepared.json"]);

    // A configuration of any size or kind, and metrics that end within a line.
    let metrics = place.path().join("runs/base/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).expect("written");
    fs::write(&metrics, format!("{lines}{{\"step\": 9, \"loss\"")).expect("writable");
    assert_eq!(json("runs/base")["metrics"]["step"], 2);
    let config = place.path().join("runs/base/config.toml");
    fs::write(&config, "a = \"\\u001b[31m\"").expect("writable");
    assert!(inspect("runs/base").contains("\\u{1b}[31m"));
    for (text, expected) in [("= 3".to_owned(), "not TOML"), ("#".repeat(2 << 20), "at most 1 MiB")]
    {
        fs::write(&config, text).expect("writable");
        run(place.path(), &["inspect", "runs/base"]).expect(1).says(&["config.toml", expected]);
    }
}

#[test]
fn files_of_torch_and_numpy_list_their_arrays() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let fixture = |path: &str| format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = fixture("stride-models/tests/fixtures/components/dit/trained.pt");
    let text = run(place.path(), &["inspect", &checkpoint]).expect(0).stdout;
    assert!(text.starts_with("PyTorch, ") && text.contains("the entry ema"), "{text}");
    let found = run(place.path(), &["inspect", &checkpoint, "--json"]).expect(0).json();
    let tensors = found["tensors"].as_array().expect("a list");
    let size = |tensor: &serde_json::Value| -> u64 {
        let shape = tensor["shape"].as_array().expect("a list");
        shape.iter().filter_map(serde_json::Value::as_u64).product()
    };
    assert!(!tensors.is_empty() && found["kind"] == "pytorch");
    assert_eq!(found["parameters"], json!(tensors.iter().map(size).sum::<u64>()));

    let statistics = fixture("stride-eval/tests/fixtures/stride_statistics.npz");
    let text = run(place.path(), &["inspect", &statistics]).expect(0).stdout;
    assert!(text.contains("2 arrays: statistics of images"), "{text}");
    let found = run(place.path(), &["inspect", &statistics, "--json"]).expect(0).json();
    let arrays = json!([
        {"name": "mu", "dtype": "<f8", "shape": [3]},
        {"name": "sigma", "dtype": "<f8", "shape": [3, 3]},
    ]);
    assert_eq!([&found["kind"], &found["arrays"]], [&json!("npz"), &arrays]);
    for (name, source) in [("cut.pt", &checkpoint), ("cut.npz", &statistics)] {
        let bytes = fs::read(source).expect("committed");
        fs::write(place.path().join(name), &bytes[..bytes.len() / 2]).expect("writable");
        run(place.path(), &["inspect", name]).expect(1).says(&["error: ", name]);
    }
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
