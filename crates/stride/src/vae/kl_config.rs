//! Shape of the variational autoencoder.

use serde::{Deserialize, Serialize};

use super::AutoencoderConfigError;

/// Stages of the deepest encoder: a factor of 2^15, beyond any image.
const MAX_STAGES: usize = 16;

/// Configuration of an [`AutoencoderKl`](super::AutoencoderKl), with the names of diffusers;
/// the default is Stable Diffusion's.
///
/// Fields of a `config.json` that change nothing here (`sample_size`, `force_upcast` and the
/// like) are ignored; those that would change the network or the latents must have the one value
/// that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoencoderKlConfig {
    /// Channels of an image going in.
    pub in_channels: usize,
    /// Channels of an image coming out.
    pub out_channels: usize,
    /// Kinds of the encoder's stages; only `DownEncoderBlock2D` exists here.
    pub down_block_types: Vec<String>,
    /// Kinds of the decoder's stages; only `UpDecoderBlock2D` exists here.
    pub up_block_types: Vec<String>,
    /// Widths of the stages, from the image down.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of every encoder stage; decoder stages have one more.
    pub layers_per_block: usize,
    /// Activation; only `silu` exists here.
    pub act_fn: String,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// Latents are (z - shift_factor) scaling_factor.
    pub scaling_factor: f64,
    /// See `scaling_factor`.
    #[serde(deserialize_with = "null_is_default")]
    pub shift_factor: f64,
    /// A 1x1 convolution behind the encoder.
    pub use_quant_conv: bool,
    /// A 1x1 convolution in front of the decoder.
    pub use_post_quant_conv: bool,
    /// Self-attention between the two residual blocks at the lowest resolution.
    pub mid_block_add_attention: bool,
    /// Statistics that pipelines of some models use in place of the factors; only none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latents_mean: Option<Vec<f32>>,
    /// See `latents_mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latents_std: Option<Vec<f32>>,
}

impl Default for AutoencoderKlConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec!["DownEncoderBlock2D".to_owned(); 4],
            up_block_types: vec!["UpDecoderBlock2D".to_owned(); 4],
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            act_fn: "silu".to_owned(),
            latent_channels: 4,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            shift_factor: 0.0,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
            latents_mean: None,
            latents_std: None,
        }
    }
}

impl AutoencoderKlConfig {
    /// Side of the square of pixels that one latent position stands for.
    pub fn downsampling_factor(&self) -> usize {
        1 << self.block_out_channels.len().saturating_sub(1)
    }

    /// Checks that the numbers describe an autoencoder.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), AutoencoderConfigError> {
        let check = |holds: bool, field, expected: String, found: String| {
            if holds { Ok(()) } else { Err(AutoencoderConfigError { field, expected, found }) }
        };
        for (field, value) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("layers_per_block", self.layers_per_block),
            ("latent_channels", self.latent_channels),
            ("norm_num_groups", self.norm_num_groups),
        ] {
            check(value > 0, field, "at least 1".into(), value.to_string())?;
        }
        let groups = self.norm_num_groups;
        let widths = &self.block_out_channels;
        let fit = (1..=MAX_STAGES).contains(&widths.len())
            && widths.iter().all(|&width| width > 0 && width % groups == 0);
        let expected = format!("1 to {MAX_STAGES} multiples of norm_num_groups = {groups}");
        check(fit, "block_out_channels", expected, format!("{widths:?}"))?;
        for (field, kinds, kind) in [
            ("down_block_types", &self.down_block_types, "DownEncoderBlock2D"),
            ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
        ] {
            let fit = kinds.len() == widths.len() && kinds.iter().all(|found| found == kind);
            check(fit, field, format!("{} times {kind}", widths.len()), format!("{kinds:?}"))?;
        }
        check(self.act_fn == "silu", "act_fn", "silu".into(), self.act_fn.clone())?;
        for (field, values) in
            [("latents_mean", &self.latents_mean), ("latents_std", &self.latents_std)]
        {
            let expected = "none, since latents are shifted and scaled by the two factors alone";
            check(values.is_none(), field, expected.into(), format!("{values:?}"))?;
        }
        let shift = self.shift_factor;
        check(shift.is_finite(), "shift_factor", "a finite number".into(), shift.to_string())?;
        let scale = self.scaling_factor;
        let positive = scale.is_finite() && scale > 0.0;
        check(positive, "scaling_factor", "a positive number".into(), scale.to_string())
    }
}

/// Files of older diffusers have `null` where nothing is shifted.
fn null_is_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
