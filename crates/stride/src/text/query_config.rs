//! The shape of a query text encoder.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{MAX_TOKENS, product};
use crate::clip::{ClipConfigError, ClipTextConfig, HiddenAct};

/// The configuration of a [`QueryTextModel`](super::QueryTextModel): its `config.json`, in `transformers`' field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryTextConfig {
    /// The class, which tells the file from that of a CLIP text encoder.
    pub architectures: [QueryTextClass; 1],
    /// Rows of the token embedding table.
    pub vocab_size: usize,
    /// Learned tokens in front of the caption.
    pub num_queries: usize,
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
    /// The end token, behind which everything is hidden.
    pub eos_token_id: usize,
}

/// The one class that such a file may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum QueryTextClass {
    /// The bidirectional encoder with queries.
    #[default]
    QueryTextModel,
}

/// Why the configuration of a text encoder cannot be used.
#[derive(Debug, Error)]
pub enum TextEncoderConfigError {
    /// The file is not such a configuration.
    #[error("text encoder config.json: {0}")]
    Json(serde_json::Error),
    /// A size that the encoder has in common with CLIP's does not fit.
    #[error(transparent)]
    Layers(#[from] ClipConfigError),
    /// There are no queries, or too many.
    #[error("text encoder config.json: num_queries must be 1 to {MAX_TOKENS}, found {0}")]
    Queries(usize),
}

impl From<serde_json::Error> for TextEncoderConfigError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl Default for QueryTextConfig {
    fn default() -> Self {
        Self {
            architectures: [QueryTextClass::QueryTextModel],
            vocab_size: 49_408,
            num_queries: 1,
            hidden_size: 256,
            intermediate_size: 1024,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            max_position_embeddings: 77,
            hidden_act: HiddenAct::Gelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
        }
    }
}

impl QueryTextConfig {
    /// The class in `architectures`.
    pub const CLASS_NAME: &'static str = "QueryTextModel";

    /// Reads `config.json`.
    ///
    /// # Errors
    /// When the JSON is broken or describes no usable encoder.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextEncoderConfigError> {
        // A list would be read as the fields in their order.
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        if !value.is_object() {
            return Err(ClipConfigError::NotAnObject.into());
        }
        let config: Self = serde_json::from_value(value)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), TextEncoderConfigError> {
        if !(1..=MAX_TOKENS).contains(&self.num_queries) {
            return Err(TextEncoderConfigError::Queries(self.num_queries));
        }
        Ok(self.without_queries().validate()?)
    }

    /// Numbers of the network, without biases and other small parts.
    pub fn num_weights(&self) -> u128 {
        self.without_queries().num_weights() + product(&[self.num_queries, self.hidden_size])
    }

    /// What it has in common with CLIP's text encoder.
    fn without_queries(&self) -> ClipTextConfig {
        ClipTextConfig {
            architectures: None,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            max_position_embeddings: self.max_position_embeddings,
            hidden_act: self.hidden_act,
            layer_norm_eps: self.layer_norm_eps,
            eos_token_id: self.eos_token_id,
            projection_dim: None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn impossible_shapes_are_refused() {
        for bad in [
            r#"{"num_queries": 0}"#,
            r#"{"num_queries": 4611686018427387904}"#,
            r#"{"hidden_size": 100, "num_attention_heads": 3}"#,
            r#"{"num_hidden_layers": 4611686018427387904}"#,
            r#"{"vocab_size": 100}"#,
            r#"{"layer_norm_eps": 0.0}"#,
            r#"{"hidden_act": "relu"}"#,
            r#"{"architectures": ["CLIPTextModel"]}"#,
            r#"{"num_slots": 3}"#,
            "[]",
        ] {
            assert!(QueryTextConfig::from_json(bad.as_bytes()).is_err(), "{bad} was accepted");
        }
        let message = QueryTextConfig::from_json(br#"{"num_queries": 0}"#).unwrap_err();
        assert!(message.to_string().contains("num_queries"), "{message}");
    }
}
