//! From a sentence to an image.

mod error;
mod files;
mod generate;
mod index;
mod load;

pub use crate::sampler::Guidance;
pub use error::{GenerateError, PipelineError};
pub use files::{FILE_NAMES, PipelineFiles};
pub use generate::{GenerateRequest, GeneratedImage, PromptReport, StepEvent};
pub use index::ModelIndex;
pub use load::{Pipeline, PipelineParts};
