//! Training of autoencoders, and trained ones as what makes latents.

mod config;
mod encoder;
mod loss;
mod trainer;

pub use config::VaeTrainConfig;
pub use encoder::ImageEncoder;
pub use loss::{VaeLossConfig, contrast_error, moment_kl, reconstruction_loss};
pub use trainer::VaeTrainer;
