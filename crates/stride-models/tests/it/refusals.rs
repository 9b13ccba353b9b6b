//! Folders that cannot be used are refused with an error that names what is wrong.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use serde_json::Value;
use stride::weights::TensorSource as _;
use stride_models::{Component, Role, text_encoder, vae};

use crate::expected::{copy, folder};

const INDEX: &str = "model.safetensors.index.json";

fn refusal(dir: &Path) -> String {
    text_encoder(dir, &Device::flex()).expect_err("must be refused").to_string()
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Edits the index of a copy of the sharded folder, and returns what loading says.
fn with_index(edit: impl Fn(&mut Value)) -> String {
    let dir = copy("text_sharded");
    let path = dir.path().join(INDEX);
    let mut index = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    edit(&mut index);
    fs::write(&path, index.to_string()).expect("writable");
    refusal(dir.path())
}

#[test]
fn shards_stay_in_their_folder() {
    const TENSOR: &str = "text_projection.weight";
    for path in ["../model.safetensors", "/etc/model.safetensors", "a/b.safetensors", "..", "a\\b"]
    {
        let text = with_index(|index| index["weight_map"][TENSOR] = path.into());
        says(&text, &[INDEX, TENSOR, "the name of a file beside the index"]);
        says(&text, &[&format!("{path:?}")]);
    }
}

#[test]
fn shards_and_tensors_that_are_missing_are_named() {
    let text = with_index(|index| index["weight_map"]["x"] = "model-9.safetensors".into());
    says(&text, &["\"x\"", "model-9.safetensors", "missing"]);
    let text =
        with_index(|index| index["weight_map"]["y"] = "model-00002-of-00004.safetensors".into());
    says(&text, &["\"y\"", "model-00002-of-00004.safetensors", "no such tensor"]);
    let text = with_index(|index| index["weight_map"] = serde_json::json!({}));
    says(&text, &[INDEX, "weight_map is empty"]);
    let text = with_index(|index| {
        index["weight_map"].as_object_mut().expect("a map").remove("text_projection.weight");
    });
    says(&text, &[INDEX, "text_projection.weight is missing"]);
    let dir = copy("text_sharded");
    fs::write(dir.path().join(INDEX), "{}").expect("writable");
    says(&refusal(dir.path()), &[INDEX, "weight_map"]);
}

#[test]
fn damaged_shards_are_named() {
    let dir = copy("text_sharded");
    let shard = dir.path().join("model-00003-of-00004.safetensors");
    let bytes = fs::read(&shard).expect("there");
    for cut in [0, 5, 100, bytes.len() - 1] {
        fs::write(&shard, &bytes[..cut]).expect("writable");
        says(&refusal(dir.path()), &["model-00003-of-00004", "not a complete safetensors file"]);
    }
    let mut long = u64::MAX.to_le_bytes().to_vec();
    long.extend(&bytes[8..]);
    fs::write(&shard, long).expect("writable");
    says(&refusal(dir.path()), &["model-00003-of-00004", "not a complete safetensors file"]);
}

#[test]
fn pickles_are_refused_with_the_way_out() {
    for name in ["pytorch", "pytorch_legacy", "pytorch_command"] {
        let text = refusal(&folder(name));
        says(&text, &["pytorch_model.bin", "can carry code", "stride import", name]);
    }
}

#[test]
fn folders_of_other_things_are_refused() {
    let nothing = tempfile::tempdir().expect("folder");
    says(&refusal(nothing.path()), &["config.json", "model_index.json", "found neither"]);
    says(&refusal(&nothing.path().join("x")), &["a text encoder", "nothing there"]);
    let file = folder("clip/config.json");
    says(&refusal(&file), &["expected the folder", "found a file"]);
    says(&refusal(&folder("vae_old")), &["AutoencoderKL", "CLIPTextModelWithProjection"]);
    let text = vae(&folder("clip"), &Device::flex()).expect_err("no autoencoder").to_string();
    says(&text, &["CLIPModel", "AutoencoderKL"]);
    let error = Component::open(&folder("pipeline"), Role::Transformer).expect_err("none");
    says(&error.to_string(), &["transformer", "text_encoder, tokenizer, vae"]);
    let error = Component::open(&folder("pipeline"), Role::Tokenizer).expect_err("not there");
    says(&error.to_string(), &["tokenizer", "model_index.json lists it"]);

    let dir = copy("text_plain");
    fs::remove_file(dir.path().join("model.safetensors")).expect("there");
    says(&refusal(dir.path()), &["expected weights such as model.safetensors"]);
    fs::write(dir.path().join("config.json"), "[]").expect("writable");
    says(&refusal(dir.path()), &["config.json", "an object"]);
    fs::write(dir.path().join("config.json"), "{").expect("writable");
    says(&refusal(dir.path()), &["config.json"]);
}

#[test]
fn one_variant_is_taken_and_several_are_named() {
    let dir = copy("text_fp16");
    let half = dir.path().join("model.fp16.safetensors");
    fs::copy(&half, dir.path().join("model.bf16.safetensors")).expect("copied");
    says(&refusal(dir.path()), &["model.bf16.safetensors, model.fp16.safetensors", "leave one"]);
    fs::copy(&half, dir.path().join("model.safetensors")).expect("copied");
    let component = Component::open(dir.path(), Role::TextEncoder).expect("there");
    let tensors = component.tensors().expect("the plain file");
    let (file, _) = tensors.origin("text_projection.weight");
    says(&file, &["model.safetensors"]);
}

#[test]
fn other_tensors_are_named() {
    let dir = copy("clip");
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).expect("there");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("whole");
    let scale = file.tensor("logit_scale").expect("there");
    let extra = file.iter().map(|(name, view)| (name.to_owned(), view));
    let extra = extra.chain([("adapter.weight".to_owned(), scale)]);
    let spoiled = safetensors::serialize(extra.collect::<Vec<_>>(), None).expect("serialisable");
    fs::write(&path, spoiled).expect("writable");
    says(&refusal(dir.path()), &["adapter.weight is unexpected"]);
}
