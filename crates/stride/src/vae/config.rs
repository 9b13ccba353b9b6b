//! Shapes and options of the autoencoders.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{MAX_DEPTH, MAX_PARAMETERS, MAX_WIDTH, product};

/// Stages of the deepest encoder or decoder: a factor of 2^15, beyond any image.
const MAX_STAGES: usize = 16;
/// Side of the largest square of pixels that is folded into channels.
const MAX_PIXEL_SHUFFLE: usize = 64;

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
            check_size(
                field,
                value,
                if field == "layers_per_block" { MAX_DEPTH } else { MAX_WIDTH },
            )?;
        }
        let groups = self.norm_num_groups;
        let widths = &self.block_out_channels;
        let fit = (1..=MAX_STAGES).contains(&widths.len())
            && widths.iter().all(|&width| width > 0 && width % groups == 0);
        let expected = format!("1 to {MAX_STAGES} multiples of norm_num_groups = {groups}");
        check(fit, "block_out_channels", expected, format!("{widths:?}"))?;
        check_weights(
            "block_out_channels",
            widths,
            &vec![self.layers_per_block + 1; widths.len()],
        )?;
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

/// Configuration of an [`AutoencoderTiny`](super::AutoencoderTiny), with the names and defaults
/// of diffusers; the fields after `shift_factor` are ours and off by default.
///
/// Fields of a `config.json` that change nothing here (`force_upcast`, `latent_magnitude` and the
/// like) are ignored; those that would change the network must have the one value that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoencoderTinyConfig {
    /// Channels of an image going in.
    pub in_channels: usize,
    /// Channels of an image coming out.
    pub out_channels: usize,
    /// Widths of the encoder's stages, from the image down.
    pub encoder_block_out_channels: Vec<usize>,
    /// Widths of the decoder's stages, from the latents up.
    pub decoder_block_out_channels: Vec<usize>,
    /// Activation; only `relu` exists here.
    pub act_fn: String,
    /// Upsampling between the decoder's stages; only `nearest` exists here.
    pub upsample_fn: String,
    /// Its factor; only 2, which undoes the encoder's strides.
    pub upsampling_scaling_factor: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Residual blocks of every encoder stage.
    pub num_encoder_blocks: Vec<usize>,
    /// Residual blocks of every decoder stage.
    pub num_decoder_blocks: Vec<usize>,
    /// Latents are (z - shift_factor) scaling_factor.
    pub scaling_factor: f64,
    /// See `scaling_factor`.
    #[serde(deserialize_with = "null_is_default")]
    pub shift_factor: f64,
    /// The encoder starts from squares of this side folded into channels, so that no convolution
    /// runs at full resolution.
    pub encoder_pixel_shuffle: usize,
    /// The decoder ends by unfolding channels into squares of this side.
    pub decoder_pixel_shuffle: usize,
    /// Adds a linear path for colour: mean colours into the latents, latents into the image.
    pub color_skip: bool,
    /// Mean of every latent channel over the training data, subtracted on encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latents_mean: Option<Vec<f32>>,
    /// Standard deviation of every latent channel, divided by on encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latents_std: Option<Vec<f32>>,
}

impl Default for AutoencoderTinyConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            act_fn: "relu".to_owned(),
            upsample_fn: "nearest".to_owned(),
            upsampling_scaling_factor: 2,
            latent_channels: 4,
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            scaling_factor: 1.0,
            shift_factor: 0.0,
            encoder_pixel_shuffle: 1,
            decoder_pixel_shuffle: 1,
            color_skip: false,
            latents_mean: None,
            latents_std: None,
        }
    }
}

impl AutoencoderTinyConfig {
    /// The autoencoder of the avatars: 32x32x4 latents at 256x256, quick to train on a CPU.
    pub fn avatars() -> Self {
        Self {
            encoder_block_out_channels: vec![64, 128],
            decoder_block_out_channels: vec![128, 64, 32],
            num_encoder_blocks: vec![1, 2],
            num_decoder_blocks: vec![2, 1, 1],
            encoder_pixel_shuffle: 4,
            decoder_pixel_shuffle: 2,
            color_skip: true,
            ..Self::default()
        }
    }

    /// Side of the square of pixels that one latent position stands for.
    pub fn downsampling_factor(&self) -> usize {
        self.encoder_pixel_shuffle << self.encoder_block_out_channels.len().saturating_sub(1)
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
            ("latent_channels", self.latent_channels),
        ] {
            check_size(field, value, MAX_WIDTH)?;
        }
        for (field, side) in [
            ("encoder_pixel_shuffle", self.encoder_pixel_shuffle),
            ("decoder_pixel_shuffle", self.decoder_pixel_shuffle),
        ] {
            let fits = (1..=MAX_PIXEL_SHUFFLE).contains(&side);
            check(fits, field, format!("1 to {MAX_PIXEL_SHUFFLE}"), side.to_string())?;
        }
        for (field, found, expected) in
            [("act_fn", &self.act_fn, "relu"), ("upsample_fn", &self.upsample_fn, "nearest")]
        {
            check(found == expected, field, expected.to_owned(), found.clone())?;
        }
        let factor = self.upsampling_scaling_factor;
        check(factor == 2, "upsampling_scaling_factor", "2".into(), factor.to_string())?;
        for (field, widths, blocks_field, blocks) in [
            (
                "encoder_block_out_channels",
                &self.encoder_block_out_channels,
                "num_encoder_blocks",
                &self.num_encoder_blocks,
            ),
            (
                "decoder_block_out_channels",
                &self.decoder_block_out_channels,
                "num_decoder_blocks",
                &self.num_decoder_blocks,
            ),
        ] {
            let fit =
                (1..=MAX_STAGES).contains(&widths.len()) && widths.iter().all(|&width| width > 0);
            let expected = format!("1 to {MAX_STAGES} positive widths");
            check(fit, field, expected, format!("{widths:?}"))?;
            let expected = format!("{} numbers, as {field} has", widths.len());
            check(blocks.len() == widths.len(), blocks_field, expected, format!("{blocks:?}"))?;
            let fits = blocks.iter().all(|&count| count <= MAX_DEPTH);
            check(fits, blocks_field, format!("at most {MAX_DEPTH} each"), format!("{blocks:?}"))?;
            check_weights(field, widths, blocks)?;
        }
        let up = self.decoder_pixel_shuffle << (self.decoder_block_out_channels.len() - 1);
        let down = self.downsampling_factor();
        check(
            up == down,
            "decoder_pixel_shuffle",
            format!("an upsampling by {down}, as the encoder downsamples"),
            format!("an upsampling by {up}"),
        )?;
        for (field, values) in
            [("latents_mean", &self.latents_mean), ("latents_std", &self.latents_std)]
        {
            if let Some(values) = values {
                let expected = format!("{} finite numbers", self.latent_channels);
                let fits = values.len() == self.latent_channels
                    && values
                        .iter()
                        .all(|v| v.is_finite() && (field == "latents_mean" || *v > 0.0));
                check(fits, field, expected, format!("{values:?}"))?;
            }
        }
        let shift = self.shift_factor;
        check(shift.is_finite(), "shift_factor", "a finite number".into(), shift.to_string())?;
        let scale = self.scaling_factor;
        let positive = scale.is_finite() && scale > 0.0;
        check(positive, "scaling_factor", "a positive number".into(), scale.to_string())
    }
}

fn check_size(
    field: &'static str,
    found: usize,
    most: usize,
) -> Result<(), AutoencoderConfigError> {
    let (expected, found) = match found {
        0 => ("at least 1".to_owned(), found.to_string()),
        _ if found > most => (format!("at most {most}"), found.to_string()),
        _ => return Ok(()),
    };
    Err(AutoencoderConfigError { field, expected, found })
}

/// Checks that stages of these widths, each with some residual blocks, make a network that a machine can hold.
fn check_weights(
    field: &'static str,
    widths: &[usize],
    blocks: &[usize],
) -> Result<(), AutoencoderConfigError> {
    for &width in widths {
        check_size(field, width, MAX_WIDTH)?;
    }
    // A block has up to three convolutions of 3x3.
    let of_stage =
        |(&width, &count): (&usize, &usize)| product(&[27, width, width, count.saturating_add(1)]);
    let weights = widths.iter().zip(blocks).map(of_stage).sum::<u128>();
    if weights > MAX_PARAMETERS {
        let expected = format!("stages of at most {MAX_PARAMETERS} weights");
        return Err(AutoencoderConfigError { field, expected, found: weights.to_string() });
    }
    Ok(())
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
