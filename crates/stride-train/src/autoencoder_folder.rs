//! A trained autoencoder on disk: `config.json` and its weights.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride_models::{Component, Role};

use crate::TrainError;

/// The file of the configuration.
pub(crate) const CONFIG: &str = "config.json";
/// The file of the weights that training writes, as diffusers names it.
pub(crate) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Reads an autoencoder that Stride or diffusers wrote: its own folder, or a pipeline with `vae/`.
///
/// # Errors
/// A file is missing, or the two do not fit each other.
pub(crate) fn read(
    dir: &Path,
    device: &Device,
) -> Result<(AutoencoderConfig, Autoencoder), TrainError> {
    Ok(stride_models::vae(dir, device)?)
}

/// The files that decide what it computes: configuration first, then weights.
///
/// # Errors
/// A file is missing.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>, TrainError> {
    Ok(Component::open(dir, Role::Vae)?.files()?)
}
