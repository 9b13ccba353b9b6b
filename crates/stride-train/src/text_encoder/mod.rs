//! Training of text encoders on captions alone: every attribute of an image from what is said about it.

mod config;
mod data;
mod trainer;

pub use config::TextEncoderTrainConfig;
pub(crate) use trainer::TextEncoderTrainer;
