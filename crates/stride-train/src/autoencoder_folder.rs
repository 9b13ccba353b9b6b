//! A trained autoencoder on disk: `config.json` and its weights.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use stride::vae::{Autoencoder, AutoencoderConfig};

use crate::TrainError;

/// The file of the configuration.
pub(crate) const CONFIG: &str = "config.json";
/// The file of the weights, as diffusers names it.
pub(crate) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Reads an autoencoder that Stride or diffusers wrote.
///
/// # Errors
/// A file is missing, or the two do not fit each other.
pub(crate) fn read(
    dir: &Path,
    device: &Device,
) -> Result<(AutoencoderConfig, Autoencoder), TrainError> {
    let path = dir.join(CONFIG);
    let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
    let config: AutoencoderConfig =
        serde_json::from_slice(&bytes).map_err(TrainError::weights(&path))?;
    let model = config.init(device).map_err(TrainError::weights(&path))?;
    let path = dir.join(WEIGHTS);
    let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
    let model = model.load(&path.display().to_string(), &bytes)?;
    Ok((config, model))
}
