//! The networks that components become.

use std::path::Path;

use burn::tensor::Device;
use stride::clip::{ClipTextConfig, ClipTextModel, ClipVisionConfig, ClipVisionModel};
use stride::vae::{Autoencoder, AutoencoderConfig};

use crate::{Component, ModelsError, Role, check_tokenizer_of};

/// Loads an autoencoder from its folder or a pipeline with `vae/`.
///
/// # Errors
/// The folder is no such component, or its files do not fit each other.
pub fn vae(path: &Path, device: &Device) -> Result<(AutoencoderConfig, Autoencoder), ModelsError> {
    let component = Component::open(path, Role::Vae)?;
    let bytes = component.config()?;
    let problem = component.config_path();
    let config: AutoencoderConfig =
        serde_json::from_slice(&bytes).map_err(ModelsError::config(&problem))?;
    let model = config.init(device).map_err(ModelsError::config(&problem))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}

/// Loads a CLIP text encoder from its folder, from that of a whole CLIP model, or from a pipeline with `text_encoder/`.
///
/// # Errors
/// The folder is no such component, or its files do not fit each other; or a tokenizer lies beside it that is not
/// CLIP's own.
pub fn text_encoder(
    path: &Path,
    device: &Device,
) -> Result<(ClipTextConfig, ClipTextModel), ModelsError> {
    let component = Component::open(path, Role::TextEncoder)?;
    check_tokenizer_of(component.root())?;
    let bytes = component.config()?;
    let problem = component.config_path();
    let config = ClipTextConfig::from_json(&bytes).map_err(ModelsError::config(&problem))?;
    let model = config.init(device).map_err(ModelsError::config(&problem))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}

/// Loads a CLIP image encoder from its folder, from that of a whole CLIP model, or from a pipeline with
/// `image_encoder/`.
///
/// # Errors
/// The folder is no such component, or its files do not fit each other.
pub fn image_encoder(
    path: &Path,
    device: &Device,
) -> Result<(ClipVisionConfig, ClipVisionModel), ModelsError> {
    let component = Component::open(path, Role::ImageEncoder)?;
    let bytes = component.config()?;
    let problem = component.config_path();
    let config = ClipVisionConfig::from_json(&bytes).map_err(ModelsError::config(&problem))?;
    let model = config.init(device).map_err(ModelsError::config(&problem))?;
    Ok((config, model.load_from(&component.tensors()?)?))
}
