//! Thousands of broken model folders, the same in every run: each loads or is refused, in little memory.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use stride::tokenizer::Vocabulary;
use stride_models::{
    Component, Description, Role, check_tokenizer, import, text_encoder, vae, vocabulary_of,
};

use crate::expected::{copy, folder};
use crate::mutations::{Draws, check_peak, rounds};

/// Megabytes that all tests of this binary may take together.
const BOUND: u64 = 1500;

/// Breaks a file of a folder again and again; how many of the folders were still good for `is_used`.
fn attack(
    seed: u64,
    dir: &Path,
    name: &str,
    few: usize,
    mut is_used: impl FnMut(&Path) -> bool,
) -> usize {
    let mut draws = Draws(seed);
    let path = dir.join(name);
    let whole = fs::read(&path).expect("there");
    assert!(is_used(dir), "{name}");
    let is_text = name.ends_with("json") || name.ends_with("txt");
    let rounds = rounds(few);
    let mut used = 0;
    for _ in 0..rounds {
        let broken = if is_text { draws.mutate_text(&whole) } else { draws.mutate(&whole) };
        fs::write(&path, &broken).expect("writable");
        used += usize::from(is_used(dir));
    }
    fs::write(&path, whole).expect("writable");
    println!("{name}: {used} of {rounds} used");
    check_peak(BOUND);
    used
}

/// The file alone may be described, whatever the network says.
fn described(dir: &Path) {
    if let Ok(description) = Description::of(dir) {
        assert!(description.files.len() < 100);
    }
}

#[test]
fn broken_text_encoders_are_refused() {
    let dir = copy("text_sharded");
    for (seed, name, few) in [
        (1, "config.json", 300),
        (2, "model.safetensors.index.json", 200),
        (3, "model-00003-of-00004.safetensors", 200),
    ] {
        attack(seed, dir.path(), name, few, |dir| {
            described(dir);
            text_encoder(dir, &Device::flex()).is_ok()
        });
    }
}

#[test]
fn broken_autoencoders_are_refused() {
    for (seed, case, name, few) in [
        (4, "vae_old", "config.json", 200),
        (5, "taesd", "config.json", 200),
        (6, "taesd", "diffusion_pytorch_model.safetensors", 200),
    ] {
        let dir = copy(case);
        attack(seed, dir.path(), name, few, |dir| {
            described(dir);
            vae(dir, &Device::flex()).is_ok()
        });
    }
}

#[test]
fn broken_transformer_files_are_described_or_refused() {
    let dir = copy("dit_diffusers");
    for (seed, name) in [(7, "config.json"), (8, "diffusion_pytorch_model.safetensors")] {
        attack(seed, dir.path(), name, 200, |dir| Description::of(dir).is_ok());
    }
}

#[test]
fn broken_lists_of_components_are_refused() {
    let dir = copy_of_pipeline();
    attack(9, dir.path(), "model_index.json", 300, |dir| {
        let roles = [Role::Transformer, Role::TextEncoder, Role::Tokenizer, Role::Vae];
        roles.into_iter().filter(|&role| Component::open(dir, role).is_ok()).count() > 1
    });
    let vocabulary = dir.path().join("tokenizer/vocabulary.json");
    fs::create_dir(dir.path().join("tokenizer")).expect("writable");
    let rows = Vocabulary::from_token_ids([320, 786, 530, 5129]);
    fs::write(vocabulary, serde_json::to_vec(&rows).expect("JSON")).expect("writable");
    attack(10, dir.path(), "tokenizer/vocabulary.json", 300, |dir| {
        vocabulary_of(dir).is_ok_and(|vocabulary| vocabulary.len() < 100_000)
    });
}

/// The pipeline with the parts whose files are small.
fn copy_of_pipeline() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("folder");
    for name in ["model_index.json", "text_encoder/config.json", "vae/config.json"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("writable");
        fs::copy(folder("pipeline").join(name), path).expect("copied");
    }
    dir
}

/// Broken words are never taken for CLIP's, and always read.
#[test]
fn broken_tokenizers_are_refused() {
    let vocab = r#"{"a": 0, "b": 1, "a</w>": 2, "ab": 3, "ab</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6}"#;
    let merges = "#version: 0.2\na b\na b</w>\n";
    let whole = format!(
        r#"{{"version": "1.0", "added_tokens": [{{"id": 5, "content": "<|startoftext|>"}}],
            "model": {{"type": "BPE", "vocab": {vocab}, "merges": ["a b", "a b</w>"]}}}}"#
    );
    let dir = tempfile::tempdir().expect("folder");
    let mut draws = Draws(11);
    for (name, content) in
        [("vocab.json", vocab), ("merges.txt", merges), ("tokenizer.json", whole.as_str())]
    {
        for other in ["vocab.json", "merges.txt", "tokenizer.json"] {
            _ = fs::remove_file(dir.path().join(other));
        }
        if name != "tokenizer.json" {
            fs::write(dir.path().join("vocab.json"), vocab).expect("writable");
            fs::write(dir.path().join("merges.txt"), merges).expect("writable");
        }
        for _ in 0..rounds(300) {
            let broken = draws.mutate_text(content.as_bytes());
            fs::write(dir.path().join(name), broken).expect("writable");
            let text = check_tokenizer(dir.path()).expect_err("not CLIP's").to_string();
            assert!(text.len() < 10_000, "{name}: {} bytes of error", text.len());
        }
    }
    check_peak(BOUND);
}

/// What is imported can be loaded or is refused then; what is not leaves nothing.
#[test]
fn broken_pickles_are_refused() {
    for (seed, case) in [(12, "pytorch"), (13, "pytorch_legacy"), (14, "pytorch_command")] {
        let place = tempfile::tempdir().expect("folder");
        let out = place.path().join("out");
        let dir = copy(case);
        let path = dir.path().join("pytorch_model.bin");
        let whole = fs::read(&path).expect("there");
        let mut draws = Draws(seed);
        let mut imported = 0;
        for _ in 0..rounds(200) {
            fs::write(&path, draws.mutate(&whole)).expect("writable");
            if import(dir.path(), &out, None).is_ok() {
                imported += 1;
                _ = text_encoder(&out, &Device::flex());
                fs::remove_dir_all(&out).expect("there");
            }
            assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 0);
        }
        println!("{case}: {imported} imported");
        assert!(case != "pytorch_command" || imported == 0);
    }
    check_peak(BOUND);
}
