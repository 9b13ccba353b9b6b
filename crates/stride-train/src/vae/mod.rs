//! Training of autoencoders, and trained ones as what makes latents.

mod config;
mod encoder;
mod lines;
mod loss;
mod trainer;

pub use config::VaeTrainConfig;
pub use encoder::ImageEncoder;
pub use loss::VaeLossConfig;
pub(crate) use trainer::VaeTrainer;
