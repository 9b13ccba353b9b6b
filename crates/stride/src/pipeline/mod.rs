//! From a sentence to an image.

mod error;
mod folder;
mod generate;
mod load;
mod request;

pub use crate::sampler::{Guidance, MAX_CFG_SCALE};
pub use error::{GenerateError, PipelineError};
pub use folder::{
    FILE_NAMES, MODEL_INDEX, ModelIndex, PipelineFiles, TEXT_ENCODER_CONFIG, TEXT_ENCODER_WEIGHTS,
    VOCABULARY,
};
pub use generate::{Drawing, GeneratedImage, StepEvent};
pub use load::{Pipeline, PipelineParts, PipelineWeights};
pub use request::{GenerateRequest, PromptReport};
