//! From a sentence to an image.

mod emphasis;
mod error;
mod folder;
mod generate;
mod load;
mod record;
mod request;
mod words;

pub use crate::sampler::{Guidance, MAX_CFG_SCALE};
pub use error::{GenerateError, PipelineError};
pub use folder::{
    COMPLETION_CONFIG, COMPLETION_FILE_NAMES, COMPLETION_VOCABULARY, COMPLETION_WEIGHTS,
    FILE_NAMES, MODEL_INDEX, ModelIndex, PipelineFiles, TEXT_ENCODER_CONFIG, TEXT_ENCODER_WEIGHTS,
    TRANSFORMER_CONFIG, TRANSFORMER_WEIGHTS, VAE_CONFIG, VAE_WEIGHTS, VOCABULARY,
};
pub use generate::{Drawing, GeneratedImage, StepEvent};
pub use load::{Pipeline, PipelineParts, PipelineWeights, completion};
pub use record::{ImageRecord, ModelRecord, NEGATIVE_PROMPT, Record};
pub use request::{GenerateRequest, InitImage};
pub use words::{PromptReport, PromptToken, UnknownWord};
