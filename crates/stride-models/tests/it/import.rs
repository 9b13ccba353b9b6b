//! PyTorch's own files become folders that load, and describe themselves.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use stride_models::{Description, import, text_encoder};

use crate::expected::{check, copy, expected, folder, token_ids};

#[test]
fn both_formats_of_torch_become_a_folder_that_loads() {
    for case in ["pytorch", "pytorch_legacy"] {
        let place = tempfile::tempdir().expect("folder");
        let out = place.path().join("out");
        let report = import(&folder(case), &out, None).expect("importable");
        assert_eq!(report.class.as_deref(), Some("CLIPTextModel"));
        assert_eq!((report.tensors, report.config_from_shapes), (36, false));
        assert_eq!(report.files, ["config.json", "model.safetensors"]);
        let (_, model) = text_encoder(&out, &Device::flex()).expect("loadable");
        let context = model.forward(token_ids());
        check(case, context.tokens, expected("text_plain.tokens"));

        let again = import(&folder(case), &out, None).expect_err("not empty").to_string();
        assert!(again.contains("expected an empty folder"), "{again}");
    }
}

#[test]
fn files_that_want_code_and_damaged_ones_are_refused() {
    let place = tempfile::tempdir().expect("folder");
    let out = place.path().join("out");
    let text = import(&folder("pytorch_command"), &out, None).expect_err("refused").to_string();
    assert!(text.contains("pytorch_model.bin") && text.contains("posix.system"), "{text}");
    for case in ["pytorch", "pytorch_legacy"] {
        let dir = copy(case);
        let path = dir.path().join("pytorch_model.bin");
        let bytes = fs::read(&path).expect("there");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("writable");
        let text = import(dir.path(), &out, None).expect_err("refused").to_string();
        assert!(text.contains("not a readable PyTorch file"), "{text}");
    }
    assert!(
        import(&folder("text_plain"), &out, None)
            .is_err_and(|e| e.to_string().contains("found none"))
    );
    let dir = copy("pytorch");
    fs::remove_file(dir.path().join("config.json")).expect("there");
    let text = import(dir.path(), &out, None).expect_err("no configuration").to_string();
    assert!(text.contains("expected config.json beside it"), "{text}");
    let file = dir.path().join("pytorch_model.bin");
    fs::copy(&file, dir.path().join("other.pth")).expect("copied");
    let text = import(dir.path(), &out, None).expect_err("two").to_string();
    assert!(text.contains("other.pth, pytorch_model.bin"), "{text}");
    // The tensors of one of two shards are there twice, which shows when the configuration is written already.
    let shards = [("a.bin", "x"), ("b.bin", "y")];
    for (shard, _) in shards {
        fs::copy(&file, dir.path().join(shard)).expect("copied");
    }
    let weight_map: std::collections::BTreeMap<_, _> =
        shards.into_iter().map(|(shard, tensor)| (tensor, shard)).collect();
    let index = serde_json::json!({ "weight_map": weight_map }).to_string();
    fs::write(dir.path().join("pytorch_model.bin.index.json"), index).expect("writable");
    fs::write(dir.path().join("config.json"), "{}").expect("writable");
    let text = import(dir.path(), &out, None).expect_err("twice").to_string();
    assert!(text.contains("is there twice"), "{text}");
    // Nothing of all this is left.
    assert!(!out.exists());
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 0);
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let dir = copy("pytorch_legacy");
    let path = dir.path().join("pytorch_model.bin");
    let name = "text_model.final_layer_norm.weight";
    let report = import(dir.path(), &dir.path().join("whole"), None).expect("importable");
    assert_eq!(report.not_finite, [""; 0]);
    let weights = fs::read(dir.path().join("whole/model.safetensors")).expect("written");
    let file = SafeTensors::deserialize(&weights).expect("whole");
    let name = if file.tensor(name).is_ok() { name } else { "final_layer_norm.weight" };
    let values = file.tensor(name).expect("there").data().to_vec();
    let bytes = fs::read(&path).expect("there");
    let place = bytes.windows(values.len()).position(|window| window == values).expect("stored");
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut spoiled = bytes.clone();
        spoiled[place + 4..place + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, spoiled).expect("writable");
        let out = dir.path().join(format!("{value}"));
        assert_eq!(import(dir.path(), &out, None).expect("importable").not_finite, [name]);
    }
}

#[test]
fn shards_of_torch_are_put_together() {
    let dir = copy("pytorch");
    let shard = "pytorch_model-00001-of-00001.bin";
    fs::rename(dir.path().join("pytorch_model.bin"), dir.path().join(shard)).expect("renamed");
    let index = serde_json::json!({"weight_map": {"final_layer_norm.weight": shard}}).to_string();
    fs::write(dir.path().join("pytorch_model.bin.index.json"), index).expect("writable");
    let out = dir.path().join("out");
    let report = import(dir.path(), &out, None).expect("importable");
    assert_eq!((report.tensors, report.files.len()), (36, 2));
    let index = serde_json::json!({"weight_map": {"x": "../y.bin"}}).to_string();
    fs::write(dir.path().join("pytorch_model.bin.index.json"), index).expect("writable");
    let text = import(dir.path(), &dir.path().join("o"), None).expect_err("outside").to_string();
    assert!(text.contains("../y.bin"), "{text}");
}

#[test]
fn components_describe_themselves() {
    let of = |name: &str| Description::of(&folder(name)).expect("a component");
    let text = of("text_fp16_sharded");
    assert_eq!(text.class.as_deref(), Some("CLIPTextModelWithProjection"));
    assert_eq!((text.files.len(), text.tensors), (4, 37));
    assert_eq!(text.dtypes["F16"], 37);
    assert_eq!(text.stacks["text_model.encoder.layers"], 2);
    assert_eq!(text.shapes["text_projection.weight"], [10, 16]);
    assert_eq!(text.shapes["text_model.embeddings.token_embedding.weight"], [40, 16]);
    let vae = of("vae_old");
    assert_eq!(vae.shapes["decoder.conv_in.weight"], [8, 3, 3, 3]);
    assert!(!vae.shapes.contains_key("post_quant_conv.weight"));
    let whole = of("clip");
    assert_eq!(whole.stacks["vision_model.encoder.layers"], 2);
    assert_eq!(of("dit_diffusers").stacks["transformer_blocks"], 2);
}

/// The tensors of an imported folder as numbers.
fn numbers(out: &Path) -> Vec<(String, Vec<f32>)> {
    let bytes = fs::read(out.join("model.safetensors")).expect("written");
    let file = SafeTensors::deserialize(&bytes).expect("whole");
    let single = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let mut tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| match view.dtype() {
            Dtype::F32 => (name, view.data().chunks_exact(4).map(single).collect()),
            dtype => panic!("{name} in {dtype:?}"),
        })
        .collect();
    tensors.sort_by(|a: &(String, Vec<f32>), b| a.0.cmp(&b.0));
    tensors
}

#[test]
fn names_are_compared_with_those_of_the_network() {
    let dir = copy("pytorch");
    let path = dir.path().join("config.json");
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
    let with = |name: &str, value: serde_json::Value| {
        let mut config = config.clone();
        config[name] = value;
        fs::write(&path, config.to_string()).expect("writable");
        import(dir.path(), &dir.path().join(format!("{name}-{}", config[name])), None)
    };
    let whole = with("vocab_size", config["vocab_size"].clone()).expect("fits");
    assert_eq!((whole.tensors, whole.without_place), (36, Some(vec![])));
    // Layers that are not there, and one that the network does not have.
    let text = with("num_hidden_layers", 3.into()).expect_err("lacks a layer").to_string();
    assert!(
        text.contains("pytorch_model.bin")
            && text.contains("layers.2.")
            && text.contains("is missing"),
        "{text}"
    );
    let text = with("intermediate_size", 7.into()).expect_err("misfit").to_string();
    assert!(text.contains("expected shape"), "{text}");
    let fewer = with("num_hidden_layers", 1.into()).expect("with a layer less");
    let left = fewer.without_place.expect("compared");
    assert!(left.len() == 16 && left.iter().all(|name| name.contains("layers.1.")), "{left:?}");
    assert_eq!(fewer.tensors, 36 - 16);
    text_encoder(&dir.path().join("num_hidden_layers-1"), &Device::flex()).expect("loadable");
    // Another class of network, and one that nobody knows.
    let text = with("architectures", serde_json::json!(["CLIPVisionModel"])).expect_err("another");
    assert!(text.to_string().contains("tensor vision_model."), "{text}");
    let unknown = with("architectures", serde_json::json!(["Unheard"])).expect("as it is");
    assert_eq!((unknown.tensors, unknown.without_place), (36, None));
}

#[test]
fn what_trainers_put_around_weights_is_taken_away() {
    let place = tempfile::tempdir().expect("folder");
    let expected = |scale: f32| {
        let scaled = |values: &[f32]| values.iter().map(|value| scale * value).collect();
        let (bias, weight) = (scaled(&[0.5, -2.0]), scaled(&[1.0, 0.25, 3.0]));
        vec![("layer.bias".to_owned(), bias), ("layer.weight".to_owned(), weight)]
    };
    for (case, key, others, left_out) in [
        ("_orig_mod-module", None, &[][..], &[][..]),
        ("module-_orig_mod", None, &[], &[]),
        ("module-module-model", Some("model"), &[], &[]),
        ("nested", Some("state_dict.model"), &[], &[]),
        ("averages", Some("ema"), &["model", "optimizer"], &[]),
        ("list", Some("model"), &["ema"], &[]),
        ("double", None, &[], &["num_batches_tracked"]),
        ("half", None, &[], &[]),
    ] {
        let out = place.path().join(case);
        let file = folder("wrapped").join(format!("{case}.pt"));
        let report = import(&file, &out, None).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(numbers(&out), expected(1.0), "{case}");
        let found = (report.key.as_deref(), &report.other_entries[..], &report.left_out[..]);
        assert_eq!(found.0, key, "{case}");
        assert!(found.1 == others && found.2 == left_out, "{case}: {found:?}");
    }
    let file = folder("wrapped").join("averages.pt");
    let out = place.path().join("named");
    let report = import(&file, &out, Some("model")).expect("named");
    assert_eq!(
        (numbers(&out), report.other_entries),
        (expected(7.0), vec!["ema".to_owned(), "optimizer".to_owned()])
    );
    let text =
        import(&file, &place.path().join("x"), Some("teacher")).expect_err("none").to_string();
    assert!(text.contains("entry teacher, found entries ema, model, optimizer"), "{text}");
}
