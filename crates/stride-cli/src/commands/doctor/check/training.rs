//! Short training runs: the losses of a device beside those of the processor, and runs that go on on the other one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use serde::Serialize;
use stride::image::{ImageMetadata, RgbImage, png_bytes};
use stride::vae::AutoencoderConfig;
use stride::weights::{self, StoredDtype};
use stride_kernels::device::DeviceName;
use stride_train::{Progress, ProgressUpdate, Resume, RunStart};

use super::samples::opened;

/// Steps of a run.
const STEPS: u64 = 50;
/// Steps after which the runs that change devices do so.
const CHANGE: u64 = 25;
/// How much losses and norms of gradients may differ, relative to themselves.
const TOLERANCE: f64 = 1e-3;
/// Side of the images.
const SIDE: usize = 16;

const AUTOENCODER: &str = r#"{
    "_class_name": "AutoencoderTiny",
    "encoder_block_out_channels": [4, 4, 4], "decoder_block_out_channels": [4, 4, 4],
    "num_encoder_blocks": [1, 1, 1], "num_decoder_blocks": [1, 1, 1]
}"#;

const RUN: &str = r#"
kind = "dit"
run_dir = "run"
[data]
resolution = 16
held_out = 2
[training.output]
metrics_every_steps = 1
[[ema]]
name = "teacher"
decay = 0.98
[dit]
batch_size = 4
autoencoder = "vae"
[dit.objective]
kind = "shortcut"
levels = "random"
[dit.model]
input_size = 4
patch_size = 2
in_channels = 4
hidden_size = 16
depth = 1
num_heads = 2
context_dim = 16
[dit.text_encoder]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
num_attention_heads = 2
"#;

/// The verdict on one run.
#[derive(Debug, Serialize)]
pub(super) struct TrainingVerdict {
    pub(super) name: String,
    /// The largest difference to the processor's losses and norms, relative to them; none where something is no number.
    pub(super) error: Option<f64>,
    pub(super) passed: bool,
}

/// Trains a small transformer three times: on the device, and half on it and half on the processor, either one first.
///
/// # Errors
/// A run fails, or the temporary folder cannot be written.
pub(super) fn check(device: DeviceName) -> Result<Vec<TrainingVerdict>> {
    let place = tempfile::tempdir().context("cannot make a temporary folder")?;
    let place = place.path();
    write_data(place)?;
    let cpu = DeviceName::Cpu;
    let expected = losses(place, "cpu", cpu, cpu)?;
    let runs = [
        ("50 steps", device, device),
        ("25 steps, then the processor", device, cpu),
        ("the processor, then 25 steps", cpu, device),
    ];
    let verdict = |(index, (name, first, second)): (usize, (&str, _, _))| {
        let error = largest_error(&expected, &losses(place, &index.to_string(), first, second)?);
        let passed = error.is_some_and(|error| error <= TOLERANCE);
        Ok(TrainingVerdict { name: name.to_owned(), error, passed })
    };
    runs.into_iter().enumerate().map(verdict).collect()
}

/// Images with captions, and an autoencoder.
fn write_data(place: &Path) -> Result<()> {
    let (data, vae) = (place.join("data"), place.join("vae"));
    fs::create_dir_all(&data)?;
    fs::create_dir_all(&vae)?;
    let mut lines = String::new();
    for index in 0..8 {
        let pixels = (0..SIDE * SIDE * 3).map(|i| (i * (index + 2)) as u8).collect();
        let image = RgbImage { width: SIDE, height: SIDE, pixels };
        fs::write(
            data.join(format!("{index}.png")),
            png_bytes(&image, &ImageMetadata::default())?,
        )?;
        writeln!(lines, "{{\"file_name\":\"{index}.png\",\"text\":\"image {index}\"}}")?;
    }
    fs::write(data.join("metadata.jsonl"), lines)?;
    let config: AutoencoderConfig = serde_json::from_str(AUTOENCODER)?;
    let model = opened(config.init(&Device::flex())?);
    fs::write(vae.join("config.json"), AUTOENCODER)?;
    let bytes = weights::save(&model, "", StoredDtype::F32, &[])?;
    fs::write(vae.join("diffusion_pytorch_model.safetensors"), bytes)?;
    fs::write(place.join("run.toml"), RUN)?;
    Ok(())
}

/// Loss and norm of the gradient of every step of a run whose halves are on these devices.
fn losses(
    place: &Path,
    name: &str,
    first: DeviceName,
    second: DeviceName,
) -> Result<Vec<[f64; 2]>> {
    let run_dir = place.join("runs").join(name);
    let path = |key: &str, folder: &str| format!("{key}=\"{}\"", place.join(folder).display());
    let train = |device: DeviceName, resume, until| -> Result<()> {
        let stop = AtomicBool::new(false);
        let overrides = [
            path("data.dir", "data"),
            path("dit.autoencoder", "vae"),
            path("dit.latent_cache", "latents"),
            format!("training.budget.max_steps={STEPS}"),
            format!("training.device=\"{device}\""),
        ];
        let begin = RunStart { resume, ..RunStart::default() };
        let mut progress = StopAt { step: until, stop: &stop };
        let file = place.join("run.toml");
        stride_train::run(&file, &overrides, &begin, Some(&run_dir), &mut progress, &stop)?;
        Ok(())
    };
    if first == second {
        train(first, None, STEPS)?;
    } else {
        train(first, None, CHANGE)?;
        train(second, Some(Resume::Latest), STEPS)?;
    }
    let metrics = fs::read_to_string(run_dir.join("metrics.jsonl"))?;
    let lines = metrics.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let values =
        lines.iter().filter_map(|line| Some([line["loss"].as_f64()?, line["grad_norm"].as_f64()?]));
    Ok(values.collect())
}

/// Ends a run after a step.
struct StopAt<'a> {
    step: u64,
    stop: &'a AtomicBool,
}

impl Progress for StopAt<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        if update.step >= self.step && update.step < STEPS {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn message(&mut self, text: &str) {
        tracing::debug!("{text}");
    }
}

fn largest_error(expected: &[[f64; 2]], found: &[[f64; 2]]) -> Option<f64> {
    if expected.len() != found.len() || expected.len() as u64 != STEPS {
        return None;
    }
    let pairs = expected.iter().flatten().zip(found.iter().flatten());
    pairs
        .map(|(a, b)| (a - b).abs() / a.abs())
        .try_fold(0.0, |most: f64, error| error.is_finite().then(|| most.max(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_strays_or_ends_early_is_found() {
        let losses = vec![[1.0, 2.0]; STEPS as usize];
        assert_eq!(largest_error(&losses, &losses), Some(0.0));
        let mut strayed = losses.clone();
        strayed[49][1] = 2.02;
        assert!(largest_error(&losses, &strayed).is_some_and(|error| error > TOLERANCE));
        assert_eq!(largest_error(&losses, &losses[..49]), None);
        strayed[3][0] = f64::NAN;
        assert_eq!(largest_error(&losses, &strayed), None);
    }
}
