//! Shape of the variational autoencoder.

use serde::{Deserialize, Serialize};

use super::AutoencoderConfigError;

/// Configuration of an [`AutoencoderKl`](super::AutoencoderKl), with the names of diffusers;
/// the default is Stable Diffusion's.
///
/// Fields of a `config.json` that change nothing here (`sample_size`, `force_upcast` and the
/// like) are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoencoderKlConfig {
    /// Channels of a picture going in.
    pub in_channels: usize,
    /// Channels of a picture coming out.
    pub out_channels: usize,
    /// Kinds of the encoder's stages; only `DownEncoderBlock2D` exists here.
    pub down_block_types: Vec<String>,
    /// Kinds of the decoder's stages; only `UpDecoderBlock2D` exists here.
    pub up_block_types: Vec<String>,
    /// Widths of the stages, from the picture down.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of every encoder stage; decoder stages have one more.
    pub layers_per_block: usize,
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
            latent_channels: 4,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            shift_factor: 0.0,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
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
        let fit = !widths.is_empty() && widths.iter().all(|&width| width > 0 && width % groups == 0);
        let expected = format!("multiples of norm_num_groups = {groups}");
        check(fit, "block_out_channels", expected, format!("{widths:?}"))?;
        for (field, kinds, kind) in [
            ("down_block_types", &self.down_block_types, "DownEncoderBlock2D"),
            ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
        ] {
            let fit = kinds.len() == widths.len() && kinds.iter().all(|found| found == kind);
            check(fit, field, format!("{} times {kind}", widths.len()), format!("{kinds:?}"))?;
        }
        let scale = self.scaling_factor;
        let positive = scale.is_finite() && scale > 0.0;
        check(positive, "scaling_factor", "a positive number".into(), scale.to_string())
    }
}

/// Files of older diffusers have `null` where nothing is shifted.
fn null_is_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
