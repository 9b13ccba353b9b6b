//! The shape of a CLIP image encoder, in `transformers`' field names.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::HiddenAct;
use super::config::side_of;
use crate::bounds::{
    MAX_DEPTH, MAX_HIDDEN_WIDTH, MAX_PARAMETERS, MAX_SIDE, MAX_TOKENS, MAX_WIDTH, product,
};

/// The configuration of a [`ClipVisionModel`](super::ClipVisionModel): `config.json` of a Hugging Face image encoder.
///
/// Fields that a file leaves out have the values of `openai/clip-vit-base-patch32`; other fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Classes the weights were saved from. `CLIPVisionModelWithProjection` and `CLIPModel` have a projection.
    pub architectures: Option<Vec<String>>,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part of a layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Height and width of an image.
    pub image_size: usize,
    /// Height and width of a patch; divides `image_size`.
    pub patch_size: usize,
    /// Channels of an image; only 3 exist here.
    pub num_channels: usize,
    /// Activation inside the feed-forward part.
    pub hidden_act: HiddenAct,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
    /// Width of the projection, where there is one.
    pub projection_dim: Option<usize>,
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ClipVisionConfigError {
    /// The file is not such a configuration.
    #[error("image encoder config.json: {0}")]
    Json(serde_json::Error),
    /// A number does not fit.
    #[error("image encoder config.json: {field}: expected {expected}, found {found}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl From<serde_json::Error> for ClipVisionConfigError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            architectures: None,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            num_channels: 3,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            projection_dim: Some(512),
        }
    }
}

impl ClipVisionConfig {
    /// Reads `config.json` of an image encoder, or of a whole CLIP model (whose `vision_config` is taken).
    ///
    /// # Errors
    /// When the JSON is broken or describes no usable encoder.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ClipVisionConfigError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let config: Self = serde_json::from_value(side_of(value, "vision_config"))?;
        config.validate()?;
        Ok(config)
    }

    /// Whether the weights have a `visual_projection` behind the pooled output.
    pub fn has_projection(&self) -> bool {
        let with_projection = ["CLIPVisionModelWithProjection", "CLIPModel"];
        self.architectures.iter().flatten().any(|name| with_projection.contains(&name.as_str()))
    }

    /// Patches of an image.
    pub fn num_patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), ClipVisionConfigError> {
        let check = |holds: bool, field, expected: String, found: String| {
            if holds {
                Ok(())
            } else {
                Err(ClipVisionConfigError::Field { field, expected, found })
            }
        };
        for (field, size, most) in [
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_HIDDEN_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_DEPTH),
            ("num_attention_heads", self.num_attention_heads, MAX_WIDTH),
            ("image_size", self.image_size, MAX_SIDE),
            ("patch_size", self.patch_size, MAX_SIDE),
        ] {
            check(size > 0, field, "at least 1".to_owned(), size.to_string())?;
            check(size <= most, field, format!("at most {most}"), size.to_string())?;
        }
        check(
            self.hidden_size.is_multiple_of(self.num_attention_heads),
            "num_attention_heads",
            format!("a divisor of hidden_size = {}", self.hidden_size),
            self.num_attention_heads.to_string(),
        )?;
        check(
            self.image_size.is_multiple_of(self.patch_size),
            "patch_size",
            format!("a divisor of image_size = {}", self.image_size),
            self.patch_size.to_string(),
        )?;
        let tokens = self.num_patches();
        let expected = format!("at most {MAX_TOKENS} patches of an image");
        check(tokens <= MAX_TOKENS, "patch_size", expected, tokens.to_string())?;
        let width = self.hidden_size;
        let layer = 4 * product(&[width, width]) + 2 * product(&[width, self.intermediate_size]);
        let weights = layer.saturating_mul(self.num_hidden_layers as u128);
        let expected = format!("at most {MAX_PARAMETERS} weights with hidden_size = {width}");
        check(weights <= MAX_PARAMETERS, "num_hidden_layers", expected, weights.to_string())?;
        let channels = self.num_channels;
        check(channels == 3, "num_channels", "3".to_owned(), channels.to_string())?;
        let epsilon = self.layer_norm_eps;
        let is_small = epsilon.is_finite() && epsilon > 0.0;
        let found = epsilon.to_string();
        check(is_small, "layer_norm_eps", "a positive number".to_owned(), found)?;
        let has_width = !self.has_projection()
            || self.projection_dim.is_some_and(|width| (1..=MAX_WIDTH).contains(&width));
        let found = format!("{:?}", self.projection_dim);
        check(has_width, "projection_dim", "the width of the projection".to_owned(), found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_shapes_are_named() {
        for (json, field) in [
            (r#"{"hidden_size": 0}"#, "hidden_size"),
            (r#"{"num_attention_heads": 7}"#, "num_attention_heads"),
            (r#"{"patch_size": 50}"#, "patch_size"),
            (r#"{"num_hidden_layers": 4611686018427387904}"#, "num_hidden_layers"),
            (r#"{"hidden_size": 12000000000}"#, "hidden_size"),
            (r#"{"image_size": 16000, "patch_size": 1}"#, "patch_size"),
            (r#"{"num_channels": 1}"#, "num_channels"),
            (r#"{"layer_norm_eps": -1.0}"#, "layer_norm_eps"),
            (r#"{"architectures": ["CLIPModel"], "projection_dim": null}"#, "projection_dim"),
        ] {
            let error = ClipVisionConfig::from_json(json.as_bytes()).expect_err(json).to_string();
            assert!(error.contains(field), "{error}");
        }
        let whole = br#"{"architectures": ["CLIPModel"], "projection_dim": 640, "vision_config": {"patch_size": 16}}"#;
        let config = ClipVisionConfig::from_json(whole).expect("usable");
        assert_eq!((config.num_patches(), config.projection_dim), (196, Some(640)));
    }
}
