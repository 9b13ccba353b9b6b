//! What a model folder holds: its files, in diffusers' layout, and `model_index.json`, which says what it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PipelineError;
use crate::sampler::{Guidance, Sampler};

/// The file that describes a pipeline.
pub const MODEL_INDEX: &str = "model_index.json";
/// The configuration of the transformer.
pub const TRANSFORMER_CONFIG: &str = "transformer/config.json";
/// The weights of the transformer.
pub const TRANSFORMER_WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
/// The configuration of the text encoder.
pub const TEXT_ENCODER_CONFIG: &str = "text_encoder/config.json";
/// The weights of the text encoder.
pub const TEXT_ENCODER_WEIGHTS: &str = "text_encoder/model.safetensors";
/// The configuration of the autoencoder.
pub const VAE_CONFIG: &str = "vae/config.json";
/// The weights of the autoencoder.
pub const VAE_WEIGHTS: &str = "vae/diffusion_pytorch_model.safetensors";
/// The rows of the text encoder's embedding table.
pub const VOCABULARY: &str = "tokenizer/vocabulary.json";
/// The attributes and examples of a completion.
pub const COMPLETION_CONFIG: &str = "completion/config.json";
/// The rows of a completion's embedding table.
pub const COMPLETION_VOCABULARY: &str = "completion/vocabulary.json";
/// The weights of a completion.
pub const COMPLETION_WEIGHTS: &str = "completion/model.safetensors";

/// The files of every model folder, relative to it.
pub const FILE_NAMES: [&str; 8] = [
    MODEL_INDEX,
    TRANSFORMER_CONFIG,
    TRANSFORMER_WEIGHTS,
    TEXT_ENCODER_CONFIG,
    TEXT_ENCODER_WEIGHTS,
    VAE_CONFIG,
    VAE_WEIGHTS,
    VOCABULARY,
];

/// The files of a model folder that has a completion, beside [`FILE_NAMES`].
pub const COMPLETION_FILE_NAMES: [&str; 3] =
    [COMPLETION_CONFIG, COMPLETION_VOCABULARY, COMPLETION_WEIGHTS];

/// The contents of a model folder: read from a disk by the caller, or part of the program.
#[derive(Clone, Debug, Default)]
pub struct PipelineFiles {
    files: BTreeMap<&'static str, Cow<'static, [u8]>>,
}

impl PipelineFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file; `name` is one of [`FILE_NAMES`] or [`COMPLETION_FILE_NAMES`].
    pub fn insert(&mut self, name: &'static str, bytes: impl Into<Cow<'static, [u8]>>) {
        self.files.insert(name, bytes.into());
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// It is not there.
    pub fn get(&self, name: &'static str) -> Result<&[u8], PipelineError> {
        self.files.get(name).map(AsRef::as_ref).ok_or(PipelineError::Missing { file: name })
    }

    /// Names and bytes of all files that are there.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (*name, bytes.as_ref()))
    }
}

/// The contents of `model_index.json`, in the manner of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIndex {
    /// `StridePipeline`.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Version of Stride that wrote it.
    #[serde(rename = "_stride_version")]
    pub stride_version: String,
    /// A short name, such as `avatars`.
    pub name: String,
    /// What it draws, and what it was trained on; may be empty.
    #[serde(default)]
    pub description: String,
    /// Height and width of its images.
    pub resolution: usize,
    /// Steps when none are asked for, 1..=128.
    pub default_steps: usize,
    /// Guidance scale when none is asked for; 1 disables guidance.
    #[serde(default = "no_guidance")]
    pub default_cfg_scale: f64,
    /// Where guidance is sound.
    pub guidance: Guidance,
    /// How it is sampled, which its objective decides.
    #[serde(default)]
    pub sampler: Sampler,
    /// Library and class of the component.
    pub transformer: [String; 2],
    /// Library and class of the component.
    pub text_encoder: [String; 2],
    /// Library and class of the component.
    pub tokenizer: [String; 2],
    /// Library and class of the component.
    pub vae: [String; 2],
    /// Library and class of the component, where prompts are completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<[String; 2]>,
}

fn no_guidance() -> f64 {
    1.0
}

/// The only `_class_name` that is understood.
pub(super) const CLASS_NAME: &str = "StridePipeline";

impl ModelIndex {
    /// An index with this version's names of the components.
    pub fn new(name: &str, resolution: usize, default_steps: usize, guidance: Guidance) -> Self {
        Self {
            class_name: CLASS_NAME.to_owned(),
            stride_version: env!("CARGO_PKG_VERSION").to_owned(),
            name: name.to_owned(),
            description: String::new(),
            resolution,
            default_steps,
            default_cfg_scale: no_guidance(),
            guidance,
            sampler: Sampler::default(),
            transformer: Self::component("Dit"),
            text_encoder: Self::component("ClipTextModel"),
            tokenizer: Self::component("ClipTokenizer"),
            vae: Self::component("Autoencoder"),
            completion: None,
        }
    }

    /// Library and class of a component that this program has.
    pub fn component(class: &str) -> [String; 2] {
        ["stride".to_owned(), class.to_owned()]
    }
}
