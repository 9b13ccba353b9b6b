//! Shape and options of the diffusion transformer.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{
    MAX_DEPTH, MAX_HIDDEN_WIDTH, MAX_PARAMETERS, MAX_SIDE, MAX_TOKENS, MAX_WIDTH, first_too_large,
    product,
};

/// Configuration of a [`Dit`](super::Dit); the defaults of the options are the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitConfig {
    /// Height and width of the latent image.
    pub input_size: usize,
    /// Side of the square of latent positions that makes one token.
    pub patch_size: usize,
    /// Channels of the latent image, in and out.
    pub in_channels: usize,
    /// Width D of the token stream.
    pub hidden_size: usize,
    /// Number of transformer blocks.
    pub depth: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Hidden width of the feed-forward layer over D.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
    /// Width E of the text context.
    pub context_dim: usize,
    /// How the text enters.
    #[serde(default)]
    pub text_conditioning: TextConditioning,
    /// The factor on t before its sinusoid. The reference code feeds t in [0, 1] unscaled.
    #[serde(default = "default_time_scale")]
    pub time_scale: f64,
    /// Takes the guidance scale as an input, beside time and step size.
    #[serde(default)]
    pub guidance_input: bool,
    /// Has a second output that predicts the velocity at d = 0 whatever the step size asked for; only training uses it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub velocity_head: bool,
    /// Normalises queries and keys per head (RMS norm with a learned gain).
    #[serde(default)]
    pub qk_norm: bool,
    /// Feed-forward layer.
    #[serde(default)]
    pub mlp: MlpKind,
    /// Normalisation in front of attention and feed-forward.
    #[serde(default)]
    pub norm: NormKind,
    /// Rotates queries and keys by the token's row and column, beside the fixed positions.
    #[serde(default)]
    pub rope: bool,
}

/// How the text context conditions the transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextConditioning {
    /// The pooled vector is projected E -> D and added to the adaLN vector.
    #[default]
    Pooled,
    /// Every block attends to the text tokens after its self-attention.
    Tokens,
    /// Both of the above.
    PooledAndTokens,
}

impl TextConditioning {
    /// Whether the pooled vector enters the adaLN vector.
    pub fn uses_pooled(self) -> bool {
        matches!(self, Self::Pooled | Self::PooledAndTokens)
    }

    /// Whether blocks attend to the text tokens.
    pub fn uses_tokens(self) -> bool {
        matches!(self, Self::Tokens | Self::PooledAndTokens)
    }
}

/// Feed-forward layer of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlpKind {
    /// Linear, GELU (tanh form), linear.
    #[default]
    Gelu,
    /// Gated by SiLU, with 2/3 of the hidden width so that the parameters stay the same.
    Swiglu,
}

/// Normalisation without learned gain or bias; adaLN supplies both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Zero mean and unit variance over D.
    #[default]
    LayerNorm,
    /// Unit root mean square over D.
    RmsNorm,
}

/// A [`DitConfig`] that describes no network.
#[derive(Debug, Error, PartialEq)]
pub enum DitConfigError {
    /// A count is zero.
    #[error("transformer config: {0} must be at least 1")]
    Zero(&'static str),
    /// A size is beyond any network.
    #[error("transformer config: {what} must be at most {most}, found {found}")]
    TooLarge {
        /// The field, or what several of them make.
        what: &'static str,
        /// The bound.
        most: u128,
        /// The size.
        found: u128,
    },
    /// The feed-forward layer has no width, or one beyond any network.
    #[error(
        "transformer config: mlp_ratio times hidden_size must be from 1 to {MAX_HIDDEN_WIDTH}, found {found:e}"
    )]
    MlpWidth {
        /// The product.
        found: f64,
    },
    /// One count must divide another.
    #[error(
        "transformer config: {what} = {value} must be a multiple of {divisor_name} = {divisor}"
    )]
    NotDivisible {
        /// The field to be divided.
        what: &'static str,
        /// Its value.
        value: usize,
        /// The dividing field.
        divisor_name: &'static str,
        /// Its value.
        divisor: usize,
    },
    /// A real number is out of range.
    #[error("transformer config: {what} must be positive and finite, found {value}")]
    NotPositive {
        /// The field.
        what: &'static str,
        /// Its value.
        value: f64,
    },
}

impl DitConfig {
    /// DiT-S: width 384, depth 12, 6 heads (33M parameters at patch 2).
    pub fn s(patch_size: usize) -> Self {
        Self::preset(patch_size, 384, 12, 6)
    }

    /// DiT-B: width 768, depth 12, 12 heads (130M parameters at patch 2).
    pub fn b(patch_size: usize) -> Self {
        Self::preset(patch_size, 768, 12, 12)
    }

    /// DiT-L: width 1024, depth 24, 16 heads (458M parameters at patch 2).
    pub fn l(patch_size: usize) -> Self {
        Self::preset(patch_size, 1024, 24, 16)
    }

    /// DiT-XL: width 1152, depth 28, 16 heads (675M parameters at patch 2).
    pub fn xl(patch_size: usize) -> Self {
        Self::preset(patch_size, 1152, 28, 16)
    }

    /// Latents of the Stable Diffusion autoencoder at 256x256, CLIP ViT-B/32 text.
    fn preset(patch_size: usize, hidden_size: usize, depth: usize, num_heads: usize) -> Self {
        Self {
            input_size: 32,
            patch_size,
            in_channels: 4,
            hidden_size,
            depth,
            num_heads,
            mlp_ratio: default_mlp_ratio(),
            context_dim: 512,
            text_conditioning: TextConditioning::default(),
            time_scale: default_time_scale(),
            guidance_input: false,
            velocity_head: false,
            qk_norm: false,
            mlp: MlpKind::default(),
            norm: NormKind::default(),
            rope: false,
        }
    }

    /// Number of image tokens T.
    pub fn num_tokens(&self) -> usize {
        (self.input_size / self.patch_size).pow(2)
    }

    /// As [`num_tokens`](Self::num_tokens), for sizes that nobody has checked.
    fn num_tokens_or_max(&self) -> usize {
        let side = self.input_size / self.patch_size.max(1);
        side.saturating_mul(side)
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Hidden width of the feed-forward layer.
    pub fn mlp_hidden_size(&self) -> usize {
        let full = self.hidden_size as f64 * self.mlp_ratio;
        match self.mlp {
            MlpKind::Gelu => full as usize,
            // A multiple of 8 keeps the matrix products on whole vectors.
            MlpKind::Swiglu => ((full * 2.0 / 3.0 / 8.0).round() as usize).max(1) * 8,
        }
    }

    /// Numbers of the network, without biases and other small parts.
    ///
    /// For a configuration that [`validate`](Self::validate) accepts; for others it may exceed what any machine holds.
    pub fn num_weights(&self) -> u128 {
        let width = self.hidden_size;
        let cross = if self.text_conditioning.uses_tokens() {
            2 * product(&[width, width]) + 2 * product(&[width, self.context_dim])
        } else {
            0
        };
        let matrices = 2 + u128::from(self.mlp == MlpKind::Swiglu);
        // Self-attention, modulation, feed-forward layer.
        let block = 10 * product(&[width, width])
            + cross
            + matrices * product(&[width, self.mlp_hidden_size()]);
        let patch = product(&[self.patch_size, self.patch_size, self.in_channels, width]);
        block.saturating_mul(self.depth as u128) + 2 * patch + product(&[self.context_dim, width])
    }

    /// Checks that the numbers describe a network.
    ///
    /// # Errors
    /// Names the first field that is zero, too large, does not divide, or is not positive.
    pub fn validate(&self) -> Result<(), DitConfigError> {
        for (name, value) in [
            ("input_size", self.input_size),
            ("patch_size", self.patch_size),
            ("in_channels", self.in_channels),
            ("hidden_size", self.hidden_size),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("context_dim", self.context_dim),
        ] {
            if value == 0 {
                return Err(DitConfigError::Zero(name));
            }
        }
        let sizes = [
            ("input_size", self.input_size, MAX_SIDE),
            ("patch_size", self.patch_size, MAX_SIDE),
            ("in_channels", self.in_channels, MAX_WIDTH),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("depth", self.depth, MAX_DEPTH),
            ("num_heads", self.num_heads, MAX_WIDTH),
            ("context_dim", self.context_dim, MAX_WIDTH),
            ("input_size / patch_size, squared,", self.num_tokens_or_max(), MAX_TOKENS),
        ];
        if let Some((what, found, most)) = first_too_large(&sizes) {
            let (found, most) = (found as u128, most as u128);
            return Err(DitConfigError::TooLarge { what, most, found });
        }
        for (what, value, divisor_name, divisor) in [
            ("input_size", self.input_size, "patch_size", self.patch_size),
            ("hidden_size", self.hidden_size, "num_heads", self.num_heads),
            // Two sines and two cosines per frequency, for rows and columns.
            ("hidden_size", self.hidden_size, "the position code's", 4),
        ] {
            if value % divisor != 0 {
                return Err(DitConfigError::NotDivisible { what, value, divisor_name, divisor });
            }
        }
        if self.rope && !self.head_dim().is_multiple_of(4) {
            return Err(DitConfigError::NotDivisible {
                what: "hidden_size / num_heads",
                value: self.head_dim(),
                divisor_name: "the rotary code's",
                divisor: 4,
            });
        }
        for (what, value) in [("mlp_ratio", self.mlp_ratio), ("time_scale", self.time_scale)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(DitConfigError::NotPositive { what, value });
            }
        }
        let found = self.hidden_size as f64 * self.mlp_ratio;
        if !(1.0..=MAX_HIDDEN_WIDTH as f64).contains(&found) {
            return Err(DitConfigError::MlpWidth { found });
        }
        let (found, most) = (self.num_weights(), MAX_PARAMETERS);
        if found > most {
            let what = "the number of weights, which depth, hidden_size and mlp_ratio make,";
            return Err(DitConfigError::TooLarge { what, most, found });
        }
        Ok(())
    }
}

fn default_mlp_ratio() -> f64 {
    4.0
}

fn default_time_scale() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_at_every_patch_size() {
        for patch_size in [2, 4, 8] {
            for preset in [DitConfig::s, DitConfig::b, DitConfig::l, DitConfig::xl] {
                assert_eq!(preset(patch_size).validate(), Ok(()));
            }
        }
        assert_eq!(DitConfig::b(2).num_tokens(), 256);
    }

    #[test]
    fn errors_name_the_field() {
        let error = |change: fn(&mut DitConfig)| {
            let mut config = DitConfig::s(4);
            change(&mut config);
            config.validate().map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        assert!(error(|c| c.patch_size = 5).contains("patch_size = 5"));
        assert!(error(|c| c.depth = 0).contains("depth"));
        assert!(error(|c| c.num_heads = 7).contains("num_heads = 7"));
        assert!(error(|c| c.mlp_ratio = f64::NAN).contains("mlp_ratio"));
        assert!(error(|c| c.mlp_ratio = 1e300).contains("mlp_ratio times hidden_size"));
        assert!(error(|c| c.mlp_ratio = 1e-300).contains("from 1 to 262144"));
        assert!(error(|c| c.depth = 100_000).contains("depth must be at most 1024"));
        assert!(error(|c| c.hidden_size = 1_000_000_000).contains("hidden_size"));
        assert!(error(|c| (c.depth, c.hidden_size) = (1000, 6144)).contains("number of weights"));
        assert!(error(|c| (c.input_size, c.patch_size) = (1 << 14, 1)).contains("squared"));
        for size in [usize::MAX, usize::MAX / 2, 1 << 40] {
            let mut all = DitConfig::s(4);
            (all.input_size, all.hidden_size, all.depth, all.context_dim) =
                (size, size, size, size);
            assert!(matches!(all.validate(), Err(DitConfigError::TooLarge { .. })));
        }
    }
}
