//! Stride: few-step text-to-image generation with shortcut models.

mod bounds;
pub mod classifier;
pub mod clip;
pub mod completion;
pub mod context;
pub mod dit;
mod floats;
pub mod image;
mod network_input;
pub mod noise;
pub mod objective;
pub mod pipeline;
pub mod sampler;
pub mod spelling;
pub mod text;
pub mod tokenizer;
pub mod vae;
pub mod weights;
