//! Any of the autoencoders, as a model folder names it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::config::{AutoencoderConfigError, AutoencoderKlConfig, AutoencoderTinyConfig};
use super::{AutoencoderKl, AutoencoderTiny};
use crate::weights::{self, SafetensorsBytes, TensorSource, WeightsError};

/// An autoencoder between images and latents.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a program, and the derive takes no box")]
pub enum Autoencoder {
    /// Latent diffusion's kind: variational, with group norm and attention.
    Kl(AutoencoderKl),
    /// TAESD's kind: small, deterministic, fast.
    Tiny(AutoencoderTiny),
}

/// Its configuration, tagged as in diffusers' `vae/config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "_class_name")]
pub enum AutoencoderConfig {
    /// Latent diffusion's kind.
    #[serde(rename = "AutoencoderKL")]
    Kl(AutoencoderKlConfig),
    /// TAESD's kind.
    #[serde(rename = "AutoencoderTiny")]
    Tiny(AutoencoderTinyConfig),
}

impl AutoencoderConfig {
    /// An autoencoder with random weights.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn init(&self, device: &Device) -> Result<Autoencoder, AutoencoderConfigError> {
        match self {
            Self::Kl(config) => config.init(device).map(Autoencoder::Kl),
            Self::Tiny(config) => config.init(device).map(Autoencoder::Tiny),
        }
    }

    /// Checks that the numbers describe an autoencoder.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), AutoencoderConfigError> {
        match self {
            Self::Kl(config) => config.validate(),
            Self::Tiny(config) => config.validate(),
        }
    }

    /// Channels of an image going in, and of one coming out.
    pub fn channels(&self) -> [usize; 2] {
        match self {
            Self::Kl(config) => [config.in_channels, config.out_channels],
            Self::Tiny(config) => [config.in_channels, config.out_channels],
        }
    }

    /// Whether encoding gives a distribution, with a variance for every number.
    pub fn is_variational(&self) -> bool {
        matches!(self, Self::Kl(_))
    }

    /// Side of the square of pixels that one latent position stands for.
    pub fn downsampling_factor(&self) -> usize {
        match self {
            Self::Kl(config) => config.downsampling_factor(),
            Self::Tiny(config) => config.downsampling_factor(),
        }
    }

    /// `[C, h, w]` of the latents of a square image with this side.
    pub fn latent_shape(&self, resolution: usize) -> [usize; 3] {
        let side = resolution / self.downsampling_factor();
        let channels = match self {
            Self::Kl(config) => config.latent_channels,
            Self::Tiny(config) => config.latent_channels,
        };
        [channels, side, side]
    }
}

impl Autoencoder {
    /// The model with the weights of a safetensors file; `file_name` is for errors only.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load(self, file_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        self.load_from(&SafetensorsBytes::open(file_name, bytes)?)
    }

    /// The model with weights from anywhere.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        match self {
            Self::Kl(model) => model.load_from(source).map(Self::Kl),
            Self::Tiny(model) => weights::load_from(model, source, "").map(Self::Tiny),
        }
    }

    /// `[B, 3, H, W]` in [-1, 1] to latents `[B, C, h, w]` of about unit scale.
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kl(model) => model.encode(pixels),
            Self::Tiny(model) => model.encode(pixels),
        }
    }

    /// `[B, 3, H, W]` in [-1, 1] to the moments of the latents that the transformer sees, scaled as
    /// [`Autoencoder::encode`] scales them: `[B, 2 C, h, w]`, means and then logarithms of variances, where
    /// the encoder [is variational](AutoencoderConfig::is_variational); `[B, C, h, w]`, the latents, elsewhere.
    pub fn encode_moments(&self, pixels: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kl(model) => {
                let posterior = model.scaled_posterior(pixels);
                Tensor::cat(vec![posterior.mean, posterior.logvar], 1)
            }
            Self::Tiny(model) => model.encode(pixels),
        }
    }

    /// Latents `[B, C, h, w]` of unit scale to pixels `[B, 3, H, W]`, about [-1, 1] but not
    /// clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kl(model) => model.decode(latents),
            Self::Tiny(model) => model.decode(latents),
        }
    }
}
