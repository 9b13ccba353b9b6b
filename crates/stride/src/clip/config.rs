//! The shape of a CLIP text encoder, in `transformers`' field names.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{
    MAX_DEPTH, MAX_HIDDEN_WIDTH, MAX_PARAMETERS, MAX_TOKENS, MAX_VOCABULARY, MAX_WIDTH,
    first_too_large, product,
};

/// The configuration of a [`ClipTextModel`](super::ClipTextModel): `config.json` of a Hugging Face text encoder.
///
/// Fields that a file leaves out have the values of `openai/clip-vit-base-patch32`; fields that concern other parts
/// of `transformers` are ignored, since these files are not ours alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    /// Classes the weights were saved from. `CLIPTextModelWithProjection` and `CLIPModel` have a text projection.
    pub architectures: Option<Vec<String>>,
    /// Rows of the token embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part of a layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Longest caption in tokens.
    pub max_position_embeddings: usize,
    /// Activation inside the feed-forward part.
    pub hidden_act: HiddenAct,
    /// Added to the variance in every layer norm.
    pub layer_norm_eps: f64,
    /// The end token, whose hidden state is the pooled output. The value 2 stands in old files, where it is wrong:
    /// it means the token with the highest id of a caption.
    pub eos_token_id: usize,
    /// Width of the text projection, where there is one.
    pub projection_dim: Option<usize>,
}

/// Activation functions that CLIP text encoders use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// `x * sigmoid(1.702 x)`: OpenAI's encoders.
    QuickGelu,
    /// `x * (1 + erf(x / sqrt 2)) / 2`: OpenCLIP's encoders.
    Gelu,
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ClipConfigError {
    /// The file is not such a configuration.
    #[error("text encoder config.json: {0}")]
    Json(serde_json::Error),
    /// The file holds a list or a plain value.
    #[error("text encoder config.json: expected an object with fields such as hidden_size")]
    NotAnObject,
    /// A size is zero.
    #[error("text encoder config.json: {field} must be at least 1")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// A size is beyond any encoder.
    #[error("text encoder config.json: {field} must be at most {most}, found {found}")]
    TooLarge {
        /// Name of the field, or of what several of them make.
        field: &'static str,
        /// The bound.
        most: u128,
        /// The size found.
        found: u128,
    },
    /// The heads do not divide the width.
    #[error(
        "text encoder config.json: num_attention_heads ({num_attention_heads}) must divide hidden_size ({hidden_size})"
    )]
    Heads {
        /// Number of heads found.
        num_attention_heads: usize,
        /// Width found.
        hidden_size: usize,
    },
    /// The layer norm constant is not a small positive number.
    #[error("text encoder config.json: layer_norm_eps must be a positive number, found {0}")]
    LayerNormEps(f64),
    /// The end token lies outside the vocabulary.
    #[error(
        "text encoder config.json: eos_token_id ({eos_token_id}) must be below vocab_size ({vocab_size})"
    )]
    EndToken {
        /// End token found.
        eos_token_id: usize,
        /// Vocabulary size found.
        vocab_size: usize,
    },
    /// The class has a projection, but its width is not given.
    #[error("text encoder config.json: a text projection needs projection_dim, at least 1")]
    Projection,
}

impl From<serde_json::Error> for ClipConfigError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            architectures: None,
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
            projection_dim: Some(512),
        }
    }
}

impl ClipTextConfig {
    /// Reads `config.json` of a text encoder, or of a whole CLIP model (whose `text_config` is taken).
    ///
    /// # Errors
    /// When the JSON is broken or describes no usable encoder.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ClipConfigError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        if !value.is_object() {
            return Err(ClipConfigError::NotAnObject);
        }
        let config: Self = serde_json::from_value(side_of(value, "text_config"))?;
        config.validate()?;
        Ok(config)
    }

    /// Whether the weights have a `text_projection` behind the pooled output.
    pub fn has_projection(&self) -> bool {
        let with_projection = ["CLIPTextModelWithProjection", "CLIPModel"];
        self.architectures.iter().flatten().any(|name| with_projection.contains(&name.as_str()))
    }

    /// Width of the pooled output.
    pub fn pooled_size(&self) -> usize {
        match self.projection_dim {
            Some(width) if self.has_projection() => width,
            _ => self.hidden_size,
        }
    }

    /// Numbers of the network, without biases and other small parts.
    pub fn num_weights(&self) -> u128 {
        let width = self.hidden_size;
        let layer = 4 * product(&[width, width]) + 2 * product(&[width, self.intermediate_size]);
        let tables =
            product(&[self.vocab_size, width]) + product(&[self.max_position_embeddings, width]);
        layer.saturating_mul(self.num_hidden_layers as u128) + tables
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), ClipConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(ClipConfigError::Zero { field });
        }
        let bounded = [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_HIDDEN_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_DEPTH),
            ("num_attention_heads", self.num_attention_heads, MAX_WIDTH),
            ("max_position_embeddings", self.max_position_embeddings, MAX_TOKENS),
            ("projection_dim", self.projection_dim.unwrap_or_default(), MAX_WIDTH),
        ];
        if let Some((field, found, most)) = first_too_large(&bounded) {
            let (found, most) = (found as u128, most as u128);
            return Err(ClipConfigError::TooLarge { field, most, found });
        }
        let (found, most) = (self.num_weights(), MAX_PARAMETERS);
        if found > most {
            let field = "the number of weights, which num_hidden_layers and hidden_size make,";
            return Err(ClipConfigError::TooLarge { field, most, found });
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ClipConfigError::Heads {
                num_attention_heads: self.num_attention_heads,
                hidden_size: self.hidden_size,
            });
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps > 0.0) {
            return Err(ClipConfigError::LayerNormEps(self.layer_norm_eps));
        }
        // Some published files have the default end token beside a smaller vocabulary; their pooled output is useless.
        if self.eos_token_id >= self.vocab_size {
            return Err(ClipConfigError::EndToken {
                eos_token_id: self.eos_token_id,
                vocab_size: self.vocab_size,
            });
        }
        if self.has_projection() && self.projection_dim.is_none_or(|width| width == 0) {
            return Err(ClipConfigError::Projection);
        }
        Ok(())
    }
}

/// The fields of one side of a whole CLIP model, with the whole's classes and width of the projection; the
/// fields as they are where the file describes one side alone.
pub(super) fn side_of(mut whole: serde_json::Value, side: &str) -> serde_json::Value {
    let Some(serde_json::Value::Object(mut fields)) = whole.get(side).cloned() else {
        return whole;
    };
    fields.remove("architectures");
    // Some files have another width inside; the whole model's is the one of its weights.
    for name in ["architectures", "projection_dim"] {
        if let Some(value) = whole.get_mut(name) {
            fields.insert(name.to_owned(), value.take());
        }
    }
    serde_json::Value::Object(fields)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hugging_face_files_are_read() {
        let plain = br#"{"architectures": ["CLIPTextModel"], "hidden_act": "gelu", "hidden_size": 768,
            "num_attention_heads": 12, "eos_token_id": 2, "torch_dtype": "float32", "dropout": 0.0}"#;
        let config = ClipTextConfig::from_json(plain).unwrap();
        assert_eq!(
            (config.hidden_size, config.hidden_act, config.pooled_size()),
            (768, HiddenAct::Gelu, 768)
        );

        let whole = br#"{"architectures": ["CLIPModel"], "text_config": {"projection_dim": 640}, "vision_config": {}}"#;
        let config = ClipTextConfig::from_json(whole).unwrap();
        assert!(config.has_projection());
        assert_eq!(config.pooled_size(), 640);
        let outer = br#"{"architectures": ["CLIPModel"], "projection_dim": 1024, "text_config": {"projection_dim": 512}}"#;
        assert_eq!(ClipTextConfig::from_json(outer).unwrap().pooled_size(), 1024);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        for bad in [
            r#"{"hidden_size": 0}"#,
            r#"{"hidden_size": 100, "num_attention_heads": 3}"#,
            r#"{"layer_norm_eps": -1.0}"#,
            r#"{"vocab_size": 100}"#,
            r#"{"num_hidden_layers": 4611686018427387904}"#,
            r#"{"num_hidden_layers": 1000, "hidden_size": 65536}"#,
            r#"{"vocab_size": 12000000000}"#,
            r#"{"hidden_act": "relu"}"#,
            r#"{"architectures": ["CLIPModel"], "projection_dim": null}"#,
            "[]",
        ] {
            assert!(ClipTextConfig::from_json(bad.as_bytes()).is_err(), "{bad} was accepted");
        }
    }
}
