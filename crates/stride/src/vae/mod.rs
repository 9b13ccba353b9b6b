//! Autoencoders: pictures to latents and back.

mod autoencoder;
mod conv;
mod resample;
mod tiny;
mod tiny_config;

pub use autoencoder::{Autoencoder, AutoencoderConfig, AutoencoderConfigError};
pub use tiny::AutoencoderTiny;
pub use tiny_config::AutoencoderTinyConfig;
