//! Autoencoders: images to latents and back.

mod autoencoder;
mod config;
mod kl;
mod kl_blocks;
mod resample;
mod tiny;

pub use autoencoder::{Autoencoder, AutoencoderConfig};
pub use config::{AutoencoderConfigError, AutoencoderKlConfig, AutoencoderTinyConfig};
pub use kl::{AutoencoderKl, DiagonalGaussian};
pub use tiny::AutoencoderTiny;
