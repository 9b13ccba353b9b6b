//! What is measured: a model, or a preset with random weights.

use anyhow::{Context as _, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor};
use stride::pipeline::{Guidance, ModelIndex, Pipeline, PipelineParts};
use stride::tokenizer::{ClipTokenizer, Tokens, Vocabulary};
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride_kernels::gemm::Compute;

use super::arguments::Bench;
use super::presets::{Preset, RESOLUTION};
use crate::model_folder;

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
    /// What the arguments name.
    pub(super) fn load(arguments: &Bench) -> Result<Self> {
        let (device, compute) = (arguments.compute.device(), arguments.compute.dtype());
        match arguments.preset {
            Some(preset) => Self::of_preset(preset, device, compute),
            None => {
                let model = model_folder::load(arguments.model.as_deref(), &device)
                    .context("no model to measure (--preset dit-s2 needs none)")?;
                let name = model.pipeline.index().name.clone();
                let pipeline = model.pipeline.with_compute(compute);
                Self::new(name, pipeline, None, device)
            }
        }
    }

    fn of_preset(preset: Preset, device: Device, compute: Compute) -> Result<Self> {
        let (text_config, vae_config) = (preset.text_encoder(), preset.autoencoder());
        let parts = PipelineParts {
            index: ModelIndex::new(preset.name(), RESOLUTION, 4, Guidance::AnyLevel),
            dit: preset.transformer().init(&device)?,
            text_encoder: text_config.init(&device)?,
            text_config,
            vocabulary: Vocabulary::full(),
            vae: vae_config.init(&device)?,
            vae_config,
        };
        let pipeline = Pipeline::from_parts(parts, &device)?.with_compute(compute);
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
        let positions = pipeline.parts().text_config.max_position_embeddings;
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
