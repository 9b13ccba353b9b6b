//! Training that starts from a CLIP folder, and drawing with what came of it.

use std::fs;

use burn::tensor::Device;
use stride::clip::ClipTextConfig;
use stride::weights::{StoredDtype, save};

use crate::compare::{BASE, place};
use crate::program::run;

#[test]
fn a_model_with_the_text_encoder_of_a_folder_draws() {
    let place = place();
    let (config, _) = BASE.split_once("[dit.text_encoder]").expect("a section");
    fs::write(place.path().join("init.toml"), config).expect("writable");
    let config = ClipTextConfig {
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        ..ClipTextConfig::default()
    };
    let model = config.init(&Device::flex()).expect("valid");
    let clip = place.path().join("clip");
    fs::create_dir(&clip).expect("writable");
    let json = serde_json::to_string(&config).expect("JSON");
    fs::write(clip.join("config.json"), json).expect("writable");
    let bytes = save(&model, "", StoredDtype::F32, &[]).expect("serialisable");
    fs::write(clip.join("model.safetensors"), bytes).expect("writable");

    let train = ["train", "--config", "init.toml", "--run-dir", "out"];
    let settings = ["--set", "training.budget.max_steps=2", "--set", "dit.model.context_dim=8"];
    let start = ["--set", "dit.init.text_encoder=clip"];
    run(place.path(), &[&train[..], &settings, &start].concat()).expect(0);
    let draw = ["generate", "--model", "out/model", "a zeppelin", "--steps", "2", "-o", "a.png"];
    run(place.path(), &draw).expect(0);
    assert!(place.path().join("a.png").is_file());
}
