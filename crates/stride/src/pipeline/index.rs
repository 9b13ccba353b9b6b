//! `model_index.json`: what a model folder is.

use serde::{Deserialize, Serialize};

use crate::sampler::{Guidance, Sampler};

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
}

fn no_guidance() -> f64 {
    1.0
}

/// The only `_class_name` that is understood.
pub(super) const CLASS_NAME: &str = "StridePipeline";

impl ModelIndex {
    /// An index with this version's names of the components.
    pub fn new(name: &str, resolution: usize, default_steps: usize, guidance: Guidance) -> Self {
        let component = |class: &str| ["stride".to_owned(), class.to_owned()];
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
            transformer: component("Dit"),
            text_encoder: component("ClipTextModel"),
            tokenizer: component("ClipTokenizer"),
            vae: component("Autoencoder"),
        }
    }
}
