//! Why a model cannot be used or an image cannot be made.

use thiserror::Error;

use crate::sampler::{InvalidStepCount, MAX_CFG_SCALE};
use crate::tokenizer::TokenizerError;
use crate::weights::WeightsError;

/// A model folder that cannot be used; every variant names the file.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A file of the folder is not there.
    #[error("{file} is missing from the model folder")]
    Missing {
        /// The file.
        file: &'static str,
    },
    /// A JSON file is broken or has a field of the wrong kind.
    #[error("{file}: {problem}")]
    Config {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Two files contradict each other.
    #[error("{file}: {field}: expected {expected} as {other} has it, found {found}")]
    Mismatch {
        /// The file.
        file: &'static str,
        /// Its field.
        field: &'static str,
        /// The other file.
        other: &'static str,
        /// What the other file says.
        expected: String,
        /// What this file says.
        found: String,
    },
    /// Weights do not fit their configuration.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tokenizer cannot be built.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// A request that cannot be fulfilled.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The step count is out of range.
    #[error(transparent)]
    StepCount(#[from] InvalidStepCount),
    /// Guidance was asked for where the model does not know the empty caption.
    #[error(
        "this model knows the empty caption at the finest step size alone, so guidance (a scale \
         other than 1, or a negative prompt) works with 128 steps only; found {steps} steps"
    )]
    Guidance {
        /// The steps asked for.
        steps: usize,
    },
    /// Guidance was asked for, and the model does not know the empty caption at all.
    #[error(
        "this model was trained without empty captions, so guidance (a scale other than 1, or a \
         negative prompt) does not work with it"
    )]
    NoGuidance,
    /// The guidance scale is an input of the network, and outside the range of its training.
    #[error(
        "this model takes the guidance scale as an input and was trained for scales from 1 to \
         {max}, found {scale}"
    )]
    GuidanceRange {
        /// The scale asked for.
        scale: f64,
        /// The largest one of training.
        max: f64,
    },
    /// A negative prompt was given where the guidance scale is an input.
    #[error(
        "this model takes the guidance scale as an input and learned to be guided against the empty \
         caption alone, so a negative prompt works with 128 steps only; found {steps} steps"
    )]
    NegativePrompt {
        /// The steps asked for.
        steps: usize,
    },
    /// A negative prompt was given where the guidance scale is an input at every step count.
    #[error(
        "this model takes the guidance scale as an input and learned to be guided against the empty \
         caption alone, so it takes no negative prompt"
    )]
    NoNegativePrompt,
    /// The guidance scale is no number, or so large that no image comes of it.
    #[error(
        "the guidance scale must be a number of at least 0 and at most {MAX_CFG_SCALE}, found {0}; \
         beyond that guidance leaves no image, only saturated colours"
    )]
    GuidanceScale(f64),
    /// The strength is no number, or out of range.
    #[error("the strength must be more than 0 and at most 1, found {0}")]
    Strength(f64),
    /// The image to begin with has another size than the model's images.
    #[error("the image to begin with must be {expected}x{expected} pixels, found {width}x{height}")]
    InitImageSize {
        /// The model's resolution.
        expected: usize,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A prompt cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The network's output overflowed.
    #[error("image with seed {seed}: the network's output is not finite; the weights are damaged")]
    NotFinite {
        /// The seed.
        seed: u64,
    },
    /// The observer stopped it.
    #[error("stopped")]
    Stopped,
}
