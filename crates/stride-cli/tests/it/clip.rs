//! A CLIP of the smallest size, with random weights, in a folder as transformers saves it.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use stride::clip::{ClipTextConfig, ClipVisionConfig};
use stride::weights::{StoredDtype, save};

/// Writes the folder.
pub(crate) fn write_clip(folder: &Path) {
    let config = serde_json::json!({
        "architectures": ["CLIPModel"],
        "projection_dim": 6,
        "text_config": {
            "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "projection_dim": 6
        },
        "vision_config": {
            "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 16, "projection_dim": 6
        },
    });
    let config = serde_json::to_vec(&config).expect("JSON");
    let device = burn::tensor::Device::flex();
    device.seed(3);
    let text = ClipTextConfig::from_json(&config).expect("valid").init(&device).expect("fits");
    let image = ClipVisionConfig::from_json(&config).expect("valid").init(&device).expect("fits");
    let files = [
        save(&text, "", StoredDtype::F32, &[]).expect("writable"),
        save(&image, "", StoredDtype::F32, &[]).expect("writable"),
    ];
    let files: Vec<_> =
        files.iter().map(|bytes| SafeTensors::deserialize(bytes).expect("written")).collect();
    let tensors = files.iter().flat_map(SafeTensors::tensors);
    let weights = safetensors::serialize(tensors, None).expect("writable");
    fs::create_dir(folder).expect("writable");
    fs::write(folder.join("config.json"), config).expect("writable");
    fs::write(folder.join("model.safetensors"), weights).expect("writable");
}
