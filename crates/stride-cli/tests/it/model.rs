//! A tiny model folder: 16x16 images from random weights that are the same every time.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::pipeline::{Guidance, ModelIndex, Pipeline, PipelineParts};
use stride::text::TextEncoder;
use stride::tokenizer::{ClipTokenizer, Vocabulary};
use stride::vae::AutoencoderConfig;
use stride::weights::StoredDtype;
use tempfile::TempDir;

/// Width and height of the images.
pub(crate) const SIDE: usize = 16;
/// The file that tests damage.
pub(crate) const TRANSFORMER_WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";

/// A folder to work in with a model in its subfolder `model`.
pub(crate) fn workplace() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_model(&folder.path().join("model"));
    folder
}

fn write_model(folder: &Path) {
    let pipeline = pipeline();
    let files = pipeline.to_files(StoredDtype::F32).expect("writable");
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
        let bytes =
            if name.ends_with(".safetensors") { with_random_values(bytes) } else { bytes.to_vec() };
        fs::write(path, bytes).expect("writable");
    }
}

fn pipeline() -> Pipeline {
    let tokenizer = ClipTokenizer::new().expect("the original vocabulary");
    let captions = ["a man with glasses", "a smiling woman with a red hat"];
    let vocabulary = Vocabulary::from_captions(&tokenizer, captions).expect("captions");
    let text_config = ClipTextConfig {
        vocab_size: vocabulary.len(),
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        eos_token_id: vocabulary.end_row() as usize,
        projection_dim: None,
        ..ClipTextConfig::default()
    };
    let transformer = json!({
        "input_size": 4, "patch_size": 2, "in_channels": 4, "hidden_size": 32, "depth": 1, "num_heads": 2,
        "context_dim": 16, "text_conditioning": "pooled_and_tokens",
    });
    let vae = json!({
        "_class_name": "AutoencoderTiny",
        "encoder_block_out_channels": [8, 8, 8], "decoder_block_out_channels": [8, 8, 8],
        "num_encoder_blocks": [1, 1, 1], "num_decoder_blocks": [1, 1, 1],
    });
    let transformer: DitConfig = serde_json::from_value(transformer).expect("a configuration");
    let vae_config: AutoencoderConfig = serde_json::from_value(vae).expect("a configuration");
    let device = Device::flex();
    let parts = PipelineParts {
        index: ModelIndex::new("tiny", SIDE, 3, Guidance::AnyLevel),
        dit: transformer.init(&device).expect("fits"),
        text_encoder: TextEncoder::Clip(text_config.init(&device).expect("fits")),
        text_config: text_config.into(),
        vocabulary,
        vae: vae_config.init(&device).expect("fits"),
        vae_config,
        completion: None,
    };
    Pipeline::from_parts(parts, &device).expect("fits together")
}

/// The same tensors with other values: fresh networks are random, and their last layer is zero.
fn with_random_values(bytes: &[u8]) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).expect("safetensors");
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.8
    };
    let mut tensors = file.tensors();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let filled: Vec<_> = tensors
        .iter()
        .map(|(name, view)| {
            let values: usize = view.shape().iter().product();
            let bytes: Vec<u8> = (0..values).flat_map(|_| next().to_le_bytes()).collect();
            (name.clone(), view.dtype(), view.shape().to_vec(), bytes)
        })
        .collect();
    let views = filled.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("fits"))
    });
    safetensors::serialize(views, None).expect("writable")
}

/// Moves the tensors of a file into two shards with an index, named as those of `plain` would be.
pub(crate) fn split_into_shards(file: &Path, plain: &Path) {
    let bytes = fs::read(file).expect("readable");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors").tensors();
    let stem = plain.file_stem().expect("a name").to_str().expect("UTF-8");
    let mut weight_map = serde_json::Map::new();
    for (number, tensors) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let name = format!("{stem}-{:05}-of-00002.safetensors", number + 1);
        let views = tensors.iter().map(|(tensor, view)| (tensor, view));
        let shard = safetensors::serialize(views, None).expect("writable");
        fs::write(plain.with_file_name(&name), shard).expect("writable");
        weight_map.extend(tensors.iter().map(|(tensor, _)| (tensor.clone(), json!(name))));
    }
    let index = json!({ "weight_map": weight_map }).to_string();
    fs::write(plain.with_extension("safetensors.index.json"), index).expect("writable");
    fs::remove_file(file).expect("removable");
}

/// Changes a JSON file of the model in a workplace.
pub(crate) fn edit_json(workplace: &TempDir, name: &str, edit: impl FnOnce(&mut Value)) {
    let path = in_model(workplace, name);
    let mut value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    edit(&mut value);
    fs::write(path, value.to_string()).expect("writable");
}

/// The path of a file of the model.
pub(crate) fn in_model(workplace: &TempDir, name: &str) -> PathBuf {
    workplace.path().join("model").join(name)
}
