//! The settings of an evaluation as flags, and in `job.json`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use serde::{Deserialize, Serialize};
use stride_eval::evaluator::EvaluationSettings;
use stride_eval::frechet::MAX_DRAWS;
use stride_eval::inception::Variant;
use stride_eval::protocol::Protocol;

use crate::commands::generate::{parse_count, parse_steps};
use crate::compute::ComputeOptions;

/// Arguments that say nothing about prompts, and are refused with these instead of ignored.
const FOR_DATA: [&str; 8] =
    ["run", "heldout", "samples", "inception", "variant", "clip", "protocol", "bootstrap"];

/// What decides the numbers, kept beside them in `job.json`.
#[derive(Clone, Debug, Args, Serialize, Deserialize)]
#[command(group(ArgGroup::new("captions").args(["data", "prompts"])))]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// Model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR", requires = "captions")]
    pub(super) model: Option<PathBuf>,
    /// Training run to evaluate: its model, its loss curves, and the distance of each checkpoint
    #[arg(long, value_name = "DIR", requires = "data", conflicts_with = "model")]
    pub(super) run: Option<PathBuf>,
    /// Folder of captioned images with metadata.jsonl
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Prompts to judge by the attribute classifier alone: lines such as {"text": "dude in a red hoodie", "attributes": {"gender": "man", "headwear": ["none", "beanie"]}}, each attribute with the value it asks for or a list of which each will do
    #[arg(long, value_name = "FILE", conflicts_with_all = FOR_DATA)]
    pub(super) prompts: Option<PathBuf>,
    /// Images of each prompt of --prompts, for each step count; prompt k from 0 has the seeds from S + k N on
    #[arg(long, value_name = "N", default_value_t = default_seeds(), value_parser = parse_count, requires = "prompts", conflicts_with = "data")]
    #[serde(default = "default_seeds")]
    pub(super) seeds: usize,
    /// Second data folder, with combinations of attributes that training never saw
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(super) heldout: Option<PathBuf>,
    /// Step counts, all with the same noise and captions
    #[arg(long, value_name = "STEPS", value_delimiter = ',', default_value = "1,2,4,8,16,32,128", value_parser = parse_steps)]
    pub(super) steps: Vec<usize>,
    /// Images per step count, one for each caption of the data from the first on
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(super) samples: usize,
    /// Seed of the first image; image k has seed S + k
    #[arg(short, long, value_name = "S", default_value = "0")]
    pub(super) seed: u64,
    /// Guidance scale; 1 disables guidance and halves the cost [default: the model's]
    #[arg(long, value_name = "W")]
    pub(super) cfg_scale: Option<f64>,
    /// Folder of an attribute classifier [default: the classifier inside this program]
    #[arg(long, value_name = "DIR")]
    pub(super) classifier: Option<PathBuf>,
    /// Use features of Inception-v3 instead of the classifier's: its weights, named as in pytorch-fid or torchvision (.safetensors, .pth)
    #[arg(long, value_name = "FILE")]
    pub(super) inception: Option<PathBuf>,
    /// Variant of Inception-v3 that the weights belong to
    #[arg(long, value_enum, default_value_t = VariantName::Fid)]
    pub(super) variant: VariantName,
    /// Folder of a CLIP model, for the CLIP score and R-precision of images and captions
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(super) clip: Option<PathBuf>,
    /// FID preprocessing protocol: whose resizing, scaling and epsilon to use
    #[arg(long, value_enum, default_value_t = ProtocolName::PytorchFid)]
    pub(super) protocol: ProtocolName,
    /// Bootstrap samples for the 95% interval of the distance; each takes as long as one distance
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_bootstrap)]
    pub(super) bootstrap: usize,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) compute: ComputeOptions,
}

fn default_seeds() -> usize {
    4
}

fn parse_bootstrap(text: &str) -> Result<usize, String> {
    let draws = text.parse().ok().filter(|&draws| draws <= MAX_DRAWS);
    draws.ok_or_else(|| format!("expected a whole number in 0..={MAX_DRAWS}"))
}

impl Job {
    /// What the library needs to know.
    pub(super) fn settings(&self) -> EvaluationSettings {
        EvaluationSettings {
            steps: self.steps.clone(),
            samples: self.samples,
            seed: self.seed,
            cfg_scale: self.cfg_scale,
            protocol: self.protocol.protocol(),
            bootstrap: self.bootstrap,
        }
    }
}

/// The architecture of Inception.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum VariantName {
    /// The network of 2015-12-05 that FID is defined with.
    Fid,
    /// Keras', for converted weights.
    Keras,
    /// torchvision's.
    Torchvision,
}

impl VariantName {
    pub(super) fn variant(self) -> Variant {
        match self {
            Self::Fid => Variant::Fid,
            Self::Keras => Variant::Keras,
            Self::Torchvision => Variant::Torchvision,
        }
    }
}

/// A FID preprocessing protocol.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProtocolName {
    /// The reference implementation of shortcut models.
    Reference,
    /// pytorch-fid, for images as a person sees them: alpha over white, turned as EXIF says.
    PytorchFid,
    /// pytorch-fid, for images as it reads them itself: alpha dropped, EXIF ignored; for SAMPLES and REFERENCE alone.
    PytorchFidStored,
    /// clean-fid.
    Clean,
    /// torch-fidelity.
    TorchFidelity,
}

impl ProtocolName {
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Reference => Protocol::Reference,
            Self::PytorchFid => Protocol::PytorchFid,
            Self::PytorchFidStored => Protocol::PytorchFidStored,
            Self::Clean => Protocol::Clean,
            Self::TorchFidelity => Protocol::TorchFidelity,
        }
    }
}
