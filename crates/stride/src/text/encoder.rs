//! Any of the text encoders, as a model folder names it.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::Serialize;

use super::{QueryTextConfig, QueryTextModel, TextEncoderConfigError};
use crate::clip::{ClipTextConfig, ClipTextModel};
use crate::context::TextContext;
use crate::weights::{TensorSource, WeightsError};

/// A text encoder: from captions to what conditions the transformer.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a program, and the derive takes no box")]
pub enum TextEncoder {
    /// CLIP's kind: causal, pooled at the end token.
    Clip(ClipTextModel),
    /// Bidirectional, with learned queries in front of the caption.
    Query(QueryTextModel),
}

/// Its configuration, `text_encoder/config.json`; `architectures` tells which it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TextEncoderConfig {
    /// Of CLIP's kind, and of files that name no kind.
    Clip(ClipTextConfig),
    /// Of the kind with queries.
    Query(QueryTextConfig),
}

impl From<ClipTextConfig> for TextEncoderConfig {
    fn from(config: ClipTextConfig) -> Self {
        Self::Clip(config)
    }
}

impl From<QueryTextConfig> for TextEncoderConfig {
    fn from(config: QueryTextConfig) -> Self {
        Self::Query(config)
    }
}

impl TextEncoderConfig {
    /// Reads `config.json` of a text encoder, or of a whole CLIP model.
    ///
    /// # Errors
    /// When the JSON is broken or describes no usable encoder.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextEncoderConfigError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let class = value.get("architectures").and_then(|classes| classes.get(0)?.as_str());
        if class == Some(QueryTextConfig::CLASS_NAME) {
            QueryTextConfig::from_json(bytes).map(Self::Query)
        } else {
            Ok(Self::Clip(ClipTextConfig::from_json(bytes)?))
        }
    }

    /// A text encoder with random weights.
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<TextEncoder, TextEncoderConfigError> {
        match self {
            Self::Clip(config) => Ok(TextEncoder::Clip(config.init(device)?)),
            Self::Query(config) => config.init(device).map(TextEncoder::Query),
        }
    }

    /// The name of its class in `model_index.json`.
    pub fn class_name(&self) -> &'static str {
        match self {
            Self::Clip(_) => "ClipTextModel",
            Self::Query(_) => QueryTextConfig::CLASS_NAME,
        }
    }

    /// Rows of the token embedding table.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Clip(config) => config.vocab_size,
            Self::Query(config) => config.vocab_size,
        }
    }

    /// The end token.
    pub fn eos_token_id(&self) -> usize {
        match self {
            Self::Clip(config) => config.eos_token_id,
            Self::Query(config) => config.eos_token_id,
        }
    }

    /// Longest caption in tokens.
    pub fn max_position_embeddings(&self) -> usize {
        match self {
            Self::Clip(config) => config.max_position_embeddings,
            Self::Query(config) => config.max_position_embeddings,
        }
    }

    /// Width of the hidden states.
    pub fn hidden_size(&self) -> usize {
        match self {
            Self::Clip(config) => config.hidden_size,
            Self::Query(config) => config.hidden_size,
        }
    }

    /// Width of the pooled output.
    pub fn pooled_size(&self) -> usize {
        match self {
            Self::Clip(config) => config.pooled_size(),
            Self::Query(config) => config.hidden_size,
        }
    }

    /// Tokens of the context in front of those of the caption.
    pub fn num_queries(&self) -> usize {
        match self {
            Self::Clip(_) => 0,
            Self::Query(config) => config.num_queries,
        }
    }
}

impl TextEncoder {
    /// The model with weights from anywhere.
    ///
    /// # Errors
    /// As [`ClipTextModel::load_from`] and [`weights::load`](crate::weights::load).
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        match self {
            Self::Clip(model) => model.load_from(source).map(Self::Clip),
            Self::Query(model) => model.load_from(source).map(Self::Query),
        }
    }

    /// The context of a batch of captions, `[B, L]` rows of the vocabulary; see [`ClipTextModel::forward`] and
    /// [`QueryTextModel::forward`].
    pub fn forward(&self, token_ids: Tensor<2, Int>) -> TextContext {
        match self {
            Self::Clip(model) => model.forward(token_ids),
            Self::Query(model) => model.forward(token_ids),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_class_tells_the_kind() {
        let query =
            br#"{"architectures": ["QueryTextModel"], "vocab_size": 20, "eos_token_id": 1}"#;
        let query = TextEncoderConfig::from_json(query).unwrap();
        assert!(matches!(query, TextEncoderConfig::Query(_)));
        for clip in ["{}", r#"{"architectures": ["CLIPTextModel"]}"#] {
            let clip = TextEncoderConfig::from_json(clip.as_bytes()).unwrap();
            assert!(matches!(clip, TextEncoderConfig::Clip(_)));
        }
        // What is written is read as the same.
        for config in [query, ClipTextConfig::default().into()] {
            let json = serde_json::to_vec(&config).unwrap();
            assert_eq!(TextEncoderConfig::from_json(&json).unwrap(), config);
        }
    }
}
