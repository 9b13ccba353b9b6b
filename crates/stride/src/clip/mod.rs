//! The CLIP text encoder: a causal transformer over caption tokens.

mod config;
mod encoder;
mod model;

pub use config::{ClipConfigError, ClipTextConfig, HiddenAct};
pub use encoder::{ClipAttention, ClipEncoder, ClipEncoderLayer, ClipMlp};
pub use model::{ClipTextEmbeddings, ClipTextModel, ClipTextTransformer};
