//! Settings of autoencoder training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stride::vae::AutoencoderConfig;

use super::loss::VaeLossConfig;
use crate::error::{check, check_size};
use crate::memory::MAX_BATCH;

/// Settings of autoencoder training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeTrainConfig {
    /// Crops in a batch.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// Height and width of a crop.
    #[serde(default = "default_crop_size")]
    pub crop_size: usize,
    /// Noise on the latents in front of the decoder: its standard deviation is drawn from
    /// [0, `latent_noise`] per crop, in units of the latents'. It makes the decoder forgive a transformer's errors.
    #[serde(default)]
    pub latent_noise: f64,
    /// Trains the decoder alone, on the encoder of `init_from`.
    #[serde(default)]
    pub decoder_only: bool,
    /// A model folder to start from instead of random weights; its `config.json` replaces `model`.
    pub init_from: Option<PathBuf>,
    /// Weights of the loss terms.
    #[serde(default)]
    pub loss: VaeLossConfig,
    /// The autoencoder.
    pub model: Option<AutoencoderConfig>,
}

fn default_batch_size() -> usize {
    8
}

fn default_crop_size() -> usize {
    128
}

impl VaeTrainConfig {
    pub(crate) fn validate(&self, resolution: usize) -> Result<(), String> {
        check_size("vae.batch_size", self.batch_size, MAX_BATCH)?;
        let fits =
            self.crop_size > 0 && self.crop_size <= resolution && self.crop_size.is_multiple_of(8);
        check(fits, "vae.crop_size", "a multiple of 8, at most data.resolution")?;
        let is_weight = |value: f64| value >= 0.0 && value.is_finite();
        check(is_weight(self.latent_noise), "vae.latent_noise", "finite, at least 0")?;
        self.loss.validate()?;
        if let Some(model) = &self.model {
            model.validate().map_err(|error| format!("vae.model: {error}"))?;
            for (field, channels) in
                ["in_channels", "out_channels"].into_iter().zip(model.channels())
            {
                let field = format!("vae.model.{field}");
                check(channels == 3, &field, &format!("3, as images have, found {channels}"))?;
            }
        }
        check(
            !self.decoder_only || self.init_from.is_some(),
            "vae.decoder_only",
            "vae.init_from to be set too",
        )?;
        check(
            self.model.is_some() != self.init_from.is_some(),
            "vae",
            "either a section [vae.model] or init_from, a model folder",
        )
    }
}
