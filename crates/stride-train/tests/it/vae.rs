//! A small autoencoder run from a configuration file, then its decoder alone; and the presets.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use stride_train::{LogProgress, RunStart, RunSummary, TrainError, run};

use crate::small::write_images;

const CONFIG: &str = r#"
kind = "vae"
run_dir = "set by the test"
[data]
dir = "set by the test"
resolution = 32
held_out = 2
[training.budget]
max_steps = 3
[vae]
batch_size = 3
crop_size = 16
latent_noise = 0.1
[vae.model]
_class_name = "AutoencoderTiny"
encoder_block_out_channels = [8, 8]
decoder_block_out_channels = [8, 8]
num_encoder_blocks = [1, 1]
num_decoder_blocks = [1, 1]
encoder_pixel_shuffle = 4
decoder_pixel_shuffle = 4
color_skip = true
"#;

fn write_data(dir: &Path) {
    let pixels = |index: usize| (0..32 * 32 * 3).map(|i| (i * (index + 1)) as u8).collect();
    write_images(dir, 32, 6, pixels, |index| format!("\"text\":\"image {index}\""));
}

fn train(dir: &Path, config: &str, name: &str) -> Result<RunSummary, TrainError> {
    let path = dir.join(format!("{name}.toml"));
    fs::write(&path, config).expect("writable");
    let overrides = [format!("data.dir={}", dir.join("data").display())];
    let mut progress = LogProgress::new(Duration::from_secs(60));
    run(
        &path,
        &overrides,
        &RunStart::default(),
        Some(&dir.join(name)),
        &mut progress,
        &AtomicBool::new(false),
    )
}

#[test]
fn an_autoencoder_is_trained_and_its_decoder_goes_on() {
    let dir = tempfile::tempdir().expect("folder");
    write_data(&dir.path().join("data"));
    let summary = train(dir.path(), CONFIG, "first").expect("trains");
    assert_eq!(summary.steps, 3);
    assert!(summary.report.iter().any(|(name, value)| name == "held_out_psnr" && *value > 0.0));
    let first = dir.path().join("first");
    assert!(first.join("samples/reconstruction-000003.png").is_file());
    let model_config = fs::read_to_string(first.join("model/config.json")).expect("exported");
    assert!(model_config.contains("latents_std"), "{model_config}");

    let (head, _) = CONFIG.split_once("[vae.model]").expect("has a model");
    let second = format!("{head}\ndecoder_only = true\ninit_from = {:?}\n", first.join("model"));
    train(dir.path(), &second, "second").expect("trains");
    let weights = |run: &str| {
        let path = dir.path().join(run).join("model/diffusion_pytorch_model.safetensors");
        let bytes = fs::read(path).expect("exported");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("complete");
        let mut tensors: Vec<_> =
            file.iter().map(|(n, t)| (n.to_owned(), t.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    let (before, after) = (weights("first"), weights("second"));
    assert_eq!(before.len(), after.len());
    for ((name, old), (_, new)) in before.iter().zip(&after) {
        assert_eq!(old == new, !name.contains("decoder"), "{name}: only the decoder may change");
    }
    let config = |run: &str| fs::read_to_string(dir.path().join(run).join("model/config.json"));
    assert_eq!(config("first").expect("exported"), config("second").expect("exported"));
}

#[test]
fn misfits_are_named() {
    let dir = tempfile::tempdir().expect("folder");
    write_data(&dir.path().join("data"));
    for (from, to, expected) in [
        ("batch_size = 3", "batch_sice = 3", "batch_sice"),
        ("max_steps = 3", "", "max_steps"),
        ("max_steps = 3", "max_seconds = 3", "training.budget.max_steps"),
        ("[vae]", "[training]\ndevice = \"cuda\"\n[vae]", "expected auto, cpu, gpu"),
        ("crop_size = 16", "crop_size = 17", "vae.crop_size"),
        (
            "crop_size = 16",
            "crop_size = 8\nloss = { scale_equivariance = 0.25 }",
            "vae.loss.scale_equivariance: expected a vae.crop_size that is a multiple of 16",
        ),
        ("held_out = 2", "held_out = 6", "at least 7, found 6"),
        ("num_encoder_blocks = [1, 1]", "num_encoder_blocks = [1]", "num_encoder_blocks"),
    ] {
        let error = train(dir.path(), &CONFIG.replace(from, to), "bad").expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
