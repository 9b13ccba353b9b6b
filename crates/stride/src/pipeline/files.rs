//! The files of a model folder, in diffusers' layout.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::PipelineError;

pub(super) const MODEL_INDEX: &str = "model_index.json";
pub(super) const TRANSFORMER_CONFIG: &str = "transformer/config.json";
pub(super) const TRANSFORMER_WEIGHTS: &str = "transformer/diffusion_pytorch_model.safetensors";
pub(super) const TEXT_ENCODER_CONFIG: &str = "text_encoder/config.json";
pub(super) const TEXT_ENCODER_WEIGHTS: &str = "text_encoder/model.safetensors";
pub(super) const VAE_CONFIG: &str = "vae/config.json";
pub(super) const VAE_WEIGHTS: &str = "vae/diffusion_pytorch_model.safetensors";
pub(super) const VOCABULARY: &str = "tokenizer/vocabulary.json";

/// All files of a model folder, relative to it.
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

    /// Adds or replaces a file; `name` is one of [`FILE_NAMES`].
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
