//! From a sentence to an image.

mod error;
mod files;
mod generate;
mod index;
mod load;
mod request;

pub use crate::sampler::Guidance;
pub use error::{GenerateError, PipelineError};
pub use files::{FILE_NAMES, PipelineFiles};
pub use generate::{Drawing, GeneratedImage, StepEvent};
pub use index::ModelIndex;
pub use load::{Pipeline, PipelineParts};
pub use request::{GenerateRequest, PromptReport};
