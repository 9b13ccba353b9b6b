//! CLIP's two encoders: a causal transformer over caption tokens, and one over the patches of an image.

mod config;
mod encoder;
mod end;
mod model;
mod pixels;
mod vision;
mod vision_config;

pub use config::{ClipConfigError, ClipTextConfig, HiddenAct};
pub(crate) use encoder::LayerShape;
pub use encoder::{ClipAttention, ClipEncoder, ClipEncoderLayer, ClipMlp};
pub(crate) use end::end_positions;
pub use model::{ClipTextEmbeddings, ClipTextModel, ClipTextTransformer};
pub use pixels::clip_pixels;
pub use vision::{ClipImageOutput, ClipVisionEmbeddings, ClipVisionModel, ClipVisionTransformer};
pub use vision_config::{ClipVisionConfig, ClipVisionConfigError};
