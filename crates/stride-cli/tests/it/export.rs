//! `stride export`. What diffusers and onnxruntime make of the folders is tested by `parity/check_export.py`.

use std::fs;

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::model::{edit_json, workplace};
use crate::program::{names_in, run};

#[test]
fn a_model_becomes_a_folder_of_diffusers() {
    let place = workplace();
    let export = ["export", "model", "--to", "diffusers", "--out", "out", "--json"];
    let found = run(place.path(), &export).expect(0).json();
    let out = place.path().join("out");
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_else(|_| panic!("{name}"));
    let parse = |name: &str| -> Value { serde_json::from_slice(&read(name)).expect("JSON") };
    for name in found["files"].as_array().expect("a list") {
        assert!(!read(name.as_str().expect("a name")).is_empty());
    }
    assert_eq!(
        names_in(&out),
        [
            "model_index.json",
            "pipeline.py",
            "stride_sampling.py",
            "text_encoder",
            "tokenizer",
            "transformer",
            "vae"
        ]
    );
    let index = parse("model_index.json");
    assert_eq!(index["_class_name"], json!(["pipeline", "StridePipeline"]));
    // Every component names a class of a file that is there.
    for (component, file) in [
        ("transformer", "stride_transformer"),
        ("text_encoder", "stride_text_encoder"),
        ("vae", "stride_autoencoder"),
    ] {
        assert_eq!(index[component][0], file);
        let class = index[component][1].as_str().expect("a class");
        let code = String::from_utf8(read(&format!("{component}/{file}.py"))).expect("UTF-8");
        assert!(code.contains(&format!("class {class}(")), "{class}");
        assert_eq!(parse(&format!("{component}/config.json"))["_class_name"], class);
        let bytes = read(&format!("{component}/diffusion_pytorch_model.safetensors"));
        let weights = SafeTensors::deserialize(&bytes).expect("safetensors");
        assert!(weights.names().iter().all(|name| !name.starts_with("text_model.")));
        assert!(weights.tensors().iter().all(|(_, view)| view.dtype() == safetensors::Dtype::F32));
    }
    assert_eq!(index["token_rows"][0], 49_406);
    assert_eq!(index["guidance"], "any_level");
    let tokenizer =
        stride::tokenizer::ClipTokenizer::from_tokenizer_json(&read("tokenizer/tokenizer.json"));
    let ids = tokenizer.expect("CLIP's").encode("a man").expect("tokens").ids;
    assert_eq!(ids, [49_406, 320, 786, 49_407]);
    // Again, over the first.
    run(place.path(), &export).expect(0);
    assert_eq!(parse("model_index.json"), index);
}

#[test]
fn a_model_becomes_onnx_files() {
    let place = workplace();
    let export = ["export", "model", "--to", "onnx", "--out", "out"];
    let found = run(place.path(), &[&export[..], &["--json"]].concat()).expect(0).json();
    let out = place.path().join("out");
    let names = names_in(&out);
    assert_eq!(found["files"].as_array().expect("a list").len(), names.len());
    assert_eq!(
        names,
        [
            "decoder.onnx",
            "generate.py",
            "model.json",
            "stride_sampling.py",
            "text_encoder.onnx",
            "tokenizer.json",
            "transformer.onnx"
        ]
    );
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_else(|_| panic!("{name}"));
    let about: Value = serde_json::from_slice(&read("model.json")).expect("JSON");
    assert_eq!(about["latent_shape"].as_array().map(Vec::len), Some(3));
    assert_eq!(about["token_rows"][0], 49_406);
    let first = read("transformer.onnx");
    run(place.path(), &export).expect(0);
    assert_eq!(read("transformer.onnx"), first, "the same model gives the same bytes");
}

#[test]
fn what_diffusers_has_no_pipeline_for_is_refused() {
    let place = workplace();
    let process = json!({"kind": "ddim", "schedule": "linear", "prediction": "v", "clip": 4.0});
    edit_json(&place, "model_index.json", |index| index["sampler"] = process);
    let export = ["export", "model", "--to", "diffusers", "--out", "out"];
    run(place.path(), &export).expect(1).says(&["sampled by DDIM"]);
    let onnx = ["export", "model", "--to", "onnx", "--out", "out"];
    run(place.path(), &onnx).expect(1).says(&["sampled by DDIM"]);
    run(place.path(), &["export", "nowhere", "--to", "diffusers", "--out", "out"]).expect(1);
    run(place.path(), &["export", "model", "--to", "gguf", "--out", "out"])
        .expect(2)
        .says(&["diffusers"]);
    assert_eq!(names_in(place.path()), ["model"]);
}
