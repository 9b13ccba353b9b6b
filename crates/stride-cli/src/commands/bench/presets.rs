//! Networks of known shapes, to compare machines and programs without trained weights.

use clap::ValueEnum;
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::vae::{AutoencoderConfig, AutoencoderKlConfig, AutoencoderTinyConfig};

/// A diffusion transformer over 32x32x4 latents, the text encoder of CLIP ViT-B/32 pooled to a
/// vector of width 512, and the autoencoder of Stable Diffusion at 256x256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// DiT-S with patches of 2: width 384, 12 blocks.
    DitS2,
    /// DiT-B with patches of 2: width 768, 12 blocks.
    DitB2,
}

/// Height and width of the images of every preset.
pub(super) const RESOLUTION: usize = 256;

impl Preset {
    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DitS2 => "dit-s2",
            Self::DitB2 => "dit-b2",
        }
    }

    pub(super) fn transformer(self) -> DitConfig {
        match self {
            Self::DitS2 => DitConfig::s(2),
            Self::DitB2 => DitConfig::b(2),
        }
    }

    pub(super) fn text_encoder(self) -> ClipTextConfig {
        ClipTextConfig::default()
    }

    /// Stable Diffusion's.
    pub(super) fn autoencoder(self) -> AutoencoderConfig {
        AutoencoderConfig::Kl(AutoencoderKlConfig::default())
    }

    /// TAESD, which understands the same latents.
    pub(super) fn tiny_autoencoder(self) -> AutoencoderConfig {
        AutoencoderConfig::Tiny(AutoencoderTinyConfig::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_each_other_and_names_are_what_is_typed() {
        for &preset in Preset::value_variants() {
            let dit = preset.transformer();
            let latents = [dit.in_channels, dit.input_size, dit.input_size];
            assert_eq!(preset.autoencoder().latent_shape(RESOLUTION), latents);
            assert_eq!(preset.tiny_autoencoder().latent_shape(RESOLUTION), latents);
            assert_eq!(preset.text_encoder().pooled_size(), dit.context_dim);
            let typed = preset.to_possible_value().expect("not hidden");
            assert_eq!(typed.get_name(), preset.name());
        }
    }
}
