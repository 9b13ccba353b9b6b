//! Any of the autoencoders, as a model folder names it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{AutoencoderTiny, AutoencoderTinyConfig};

/// An autoencoder between pictures and latents.
#[derive(Module, Debug)]
pub enum Autoencoder {
    /// TAESD's kind: small, deterministic, fast.
    Tiny(AutoencoderTiny),
}

/// Its configuration, tagged as in diffusers' `vae/config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "_class_name")]
pub enum AutoencoderConfig {
    /// TAESD's kind.
    #[serde(rename = "AutoencoderTiny")]
    Tiny(AutoencoderTinyConfig),
}

/// A configuration that describes no autoencoder.
#[derive(Debug, Error, PartialEq)]
#[error("autoencoder config: {field}: expected {expected}, found {found}")]
pub struct AutoencoderConfigError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl AutoencoderConfig {
    /// An autoencoder with freshly drawn weights.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn init(&self, device: &Device) -> Result<Autoencoder, AutoencoderConfigError> {
        match self {
            Self::Tiny(config) => config.init(device).map(Autoencoder::Tiny),
        }
    }

    /// Side of the square of pixels that one latent position stands for.
    pub fn downsampling_factor(&self) -> usize {
        match self {
            Self::Tiny(config) => config.downsampling_factor(),
        }
    }

    /// `[C, h, w]` of the latents of a square picture with this side.
    pub fn latent_shape(&self, resolution: usize) -> [usize; 3] {
        let side = resolution / self.downsampling_factor();
        let channels = match self {
            Self::Tiny(config) => config.latent_channels,
        };
        [channels, side, side]
    }
}

impl Autoencoder {
    /// `[B, 3, H, W]` in [-1, 1] to latents `[B, C, h, w]` of about unit scale.
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Tiny(model) => model.encode(pixels),
        }
    }

    /// Latents `[B, C, h, w]` of unit scale to pixels `[B, 3, H, W]`, about [-1, 1] but not
    /// clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Tiny(model) => model.decode(latents),
        }
    }
}
