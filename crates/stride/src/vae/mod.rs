//! Autoencoders: images to latents and back.

mod autoencoder;
mod kl;
mod kl_blocks;
mod kl_config;
mod posterior;
mod resample;
mod tiny;
mod tiny_config;

pub use autoencoder::{Autoencoder, AutoencoderConfig, AutoencoderConfigError};
pub use kl::AutoencoderKl;
pub use kl_config::AutoencoderKlConfig;
pub use posterior::DiagonalGaussian;
pub use tiny::AutoencoderTiny;
pub use tiny_config::AutoencoderTinyConfig;
