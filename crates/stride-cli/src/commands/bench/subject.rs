//! What is measured: a model, or a preset with random weights.

use std::path::Path;

use anyhow::{Context as _, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Int, Tensor};
use clap::ValueEnum;
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::pipeline::{Guidance, ModelIndex, Pipeline, PipelineParts};
use stride::text::TextEncoderConfig;
use stride::tokenizer::{ClipTokenizer, Tokens, Vocabulary};
use stride::vae::{Autoencoder, AutoencoderConfig, AutoencoderKlConfig, AutoencoderTinyConfig};
use stride_kernels::gemm::Compute;
use stride_models::Model;

use super::flops;
use crate::compute::ComputeOptions;

/// The caption of every row, 16 tokens in CLIP's whole vocabulary.
pub(super) const PROMPT: &str = "a smiling woman with long red hair, a blue hat and round glasses";

/// A pipeline with a caption for it.
#[derive(Debug)]
pub(super) struct Subject {
    /// Name of the model or preset.
    pub(super) name: String,
    pub(super) pipeline: Pipeline,
    /// A second autoencoder for the same latents, whose decoder gets a row too.
    pub(super) tiny: Option<(AutoencoderConfig, Autoencoder)>,
    pub(super) device: Device,
    tokens: Tokens,
}

impl Subject {
    /// The model in a folder, or the one inside this program.
    pub(super) fn of_model(folder: Option<&Path>, options: ComputeOptions) -> Result<Self> {
        let device = options.device()?;
        let model = Model::load(folder, &device)
            .context("no model to measure (--preset dit-s2 needs none)")?;
        let name = model.pipeline.index().name.clone();
        Self::new(name, model.pipeline.with_compute(options.dtype()), None, device)
    }

    /// A preset with random weights.
    pub(super) fn of_preset(preset: Preset, options: ComputeOptions) -> Result<Self> {
        let device = options.device()?;
        let text_config = TextEncoderConfig::Clip(preset.text_encoder());
        let vae_config = preset.autoencoder();
        let parts = PipelineParts {
            index: ModelIndex::new(preset.name(), RESOLUTION, 4, Guidance::AnyLevel),
            dit: preset.transformer().init(&device)?,
            text_encoder: text_config.init(&device)?,
            text_config,
            vocabulary: Vocabulary::full(),
            vae: vae_config.init(&device)?,
            vae_config,
            completion: None,
        };
        let pipeline = Pipeline::from_parts(parts, &device)?.with_compute(options.dtype());
        let tiny = preset.tiny_autoencoder();
        let autoencoder = tiny.init(&device)?;
        Self::new(preset.name().to_owned(), pipeline, Some((tiny, autoencoder)), device)
    }

    fn new(
        name: String,
        pipeline: Pipeline,
        tiny: Option<(AutoencoderConfig, Autoencoder)>,
        device: Device,
    ) -> Result<Self> {
        let tokenizer = ClipTokenizer::new()?;
        let positions = pipeline.parts().text_config.max_position_embeddings();
        let length = tokenizer.max_length().min(positions);
        let tokens = tokenizer.with_max_length(length)?.encode(PROMPT)?;
        Ok(Self { name, pipeline, tiny, device, tokens })
    }

    pub(super) fn compute(&self) -> Compute {
        self.pipeline.precision().compute()
    }

    pub(super) fn parts(&self) -> &PipelineParts {
        self.pipeline.parts()
    }

    /// The caption `count` times, `[count, L]`.
    pub(super) fn captions(&self, count: usize, device: &Device) -> Tensor<2, Int> {
        self.parts().vocabulary.batch(&vec![self.tokens.clone(); count], device)
    }

    /// Tokens of the caption with its start and end.
    pub(super) fn caption_length(&self) -> usize {
        self.tokens.ids.len()
    }

    /// Tokens of the context: those of the caption, and those that the text encoder adds.
    pub(super) fn context_length(&self) -> usize {
        self.parts().text_config.num_queries() + self.caption_length()
    }

    /// `[B, C, H, W]` of the transformer's input.
    pub(super) fn latent_shape(&self, batch: usize) -> [usize; 4] {
        let config = self.parts().dit.config();
        [batch, config.in_channels, config.input_size, config.input_size]
    }

    /// Arithmetic of one caption through the text encoder.
    pub(super) fn text_flops(&self) -> f64 {
        flops::text_encoder(&self.parts().text_config, self.context_length())
    }

    /// Arithmetic of one image through the transformer.
    pub(super) fn dit_flops(&self) -> f64 {
        flops::transformer(self.parts().dit.config(), self.context_length())
    }
}

/// A diffusion transformer over 32x32x4 latents, the text encoder of CLIP ViT-B/32 pooled to a
/// vector of width 512, and the autoencoder of Stable Diffusion at 256x256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// DiT-S/2: width 384, 12 blocks, patches of 2x2
    DitS2,
    /// DiT-B/2: width 768, 12 blocks, patches of 2x2
    DitB2,
}

/// Height and width of the images of every preset.
const RESOLUTION: usize = 256;

impl Preset {
    /// Name on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::DitS2 => "dit-s2",
            Self::DitB2 => "dit-b2",
        }
    }

    fn transformer(self) -> DitConfig {
        match self {
            Self::DitS2 => DitConfig::s(2),
            Self::DitB2 => DitConfig::b(2),
        }
    }

    fn text_encoder(self) -> ClipTextConfig {
        ClipTextConfig::default()
    }

    /// Stable Diffusion's.
    fn autoencoder(self) -> AutoencoderConfig {
        AutoencoderConfig::Kl(AutoencoderKlConfig::default())
    }

    /// TAESD, which understands the same latents.
    fn tiny_autoencoder(self) -> AutoencoderConfig {
        AutoencoderConfig::Tiny(AutoencoderTinyConfig::default())
    }
}

/// Draws from N(0, 1) on a device.
pub(super) fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Draws the weights of a fresh network now; the library leaves them to the first use, which
/// would be a measured one. Weights that were read are there already.
pub(super) fn draw_weights<M: Module>(module: &M) {
    module.visit(&mut Draw);
}

struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.val());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_each_other() {
        for &preset in Preset::value_variants() {
            let dit = preset.transformer();
            let latents = [dit.in_channels, dit.input_size, dit.input_size];
            assert_eq!(preset.autoencoder().latent_shape(RESOLUTION), latents);
            assert_eq!(preset.tiny_autoencoder().latent_shape(RESOLUTION), latents);
            assert_eq!(preset.text_encoder().pooled_size(), dit.context_dim);
        }
    }

    #[test]
    fn training_presets_name_the_same_networks() {
        let trained = |config: &str| -> DitConfig {
            let table: toml::Table = config.parse().expect("TOML");
            table["dit"]["model"].clone().try_into().expect("a transformer")
        };
        let base = trained(include_str!("../../../../../configs/celeba-hq-dit-b2.toml"));
        assert_eq!(base, Preset::DitB2.transformer());
        // It has options of its own on the same shape.
        let small = trained(include_str!("../../../../../configs/celeba-hq-small.toml"));
        let DitConfig { text_conditioning, time_scale, qk_norm, norm, .. } = small;
        let plain = Preset::DitS2.transformer();
        assert_eq!(small, DitConfig { text_conditioning, time_scale, qk_norm, norm, ..plain });
    }
}
