//! The arguments of `stride evaluate`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use stride::objective::BASE_STEPS;
use stride_eval::inception::Variant;
use stride_eval::protocol::Protocol;

use super::import::ConvertInception;
use crate::commands::generate::DeviceName;
use crate::usage::usage;

/// Compare pictures, or what a model draws, with real ones
///
/// With SAMPLES and REFERENCE it compares two folders, as pytorch-fid does. With --data it draws the captions of
/// a data folder with a model at every step count and compares with the folder's pictures.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Evaluate {
    #[command(subcommand)]
    command: Option<Tool>,
    /// Folder of pictures to judge
    #[arg(requires = "reference", conflicts_with_all = ["model", "data"])]
    samples_folder: Option<PathBuf>,
    /// Folder of real pictures, or an .npz file with mu and sigma
    reference: Option<PathBuf>,
    #[command(flatten)]
    pub(super) options: Options,
    /// The model folder [default: the model inside this program]
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(super) model: Option<PathBuf>,
    /// Folder of captioned pictures with metadata.jsonl
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Step counts, each drawn from the same noises and captions
    #[arg(long, value_name = "STEPS", value_delimiter = ',', default_value = "1,4,16", value_parser = parse_steps)]
    pub(super) steps: Vec<usize>,
    /// Pictures for each step count, one for each caption of the data from the first on
    #[arg(long, value_name = "N", default_value = "256")]
    pub(super) samples: usize,
    /// Seed of the first picture; picture k has seed S + k
    #[arg(short, long, value_name = "S", default_value = "0")]
    pub(super) seed: u64,
    /// Strength of classifier-free guidance [default: the model's]
    #[arg(long, value_name = "W")]
    pub(super) cfg_scale: Option<f64>,
    /// Folder for report.md, report.json and a sheet of pictures; it must exist
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(super) out: Option<PathBuf>,
}

/// What both ways share.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Weights of Inception-v3 (safetensors, names of pytorch-fid and torchvision)
    #[arg(long, value_name = "FILE")]
    pub(super) inception: Option<PathBuf>,
    /// The graph that the weights belong to
    #[arg(long, value_enum, default_value_t = VariantName::Fid)]
    pub(super) variant: VariantName,
    /// Whose resize, scaling and epsilon to take
    #[arg(long, value_enum, default_value_t = ProtocolName::PytorchFid)]
    pub(super) protocol: ProtocolName,
    /// Pictures that go through Inception together
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) batch: usize,
    /// Draws for the 95% interval of the distance; one takes as long as a distance
    #[arg(long, value_name = "N", default_value = "0")]
    pub(super) bootstrap: usize,
    /// Write mu and sigma of the reference pictures, as pytorch-fid does
    #[arg(long, value_name = "FILE")]
    pub(super) save_statistics: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceName::Flex)]
    pub(super) device: DeviceName,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Tools around evaluation.
#[derive(Debug, Subcommand)]
enum Tool {
    ConvertInception(ConvertInception),
}

impl Evaluate {
    /// Compares and prints.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(Tool::ConvertInception(tool)) = self.command {
            return tool.run();
        }
        match (&self.samples_folder, &self.reference, &self.data) {
            (Some(samples), Some(reference), None) => self.compare_folders(samples, reference),
            (None, None, Some(data)) => self.judge_model(data),
            _ => usage("expected SAMPLES and REFERENCE, or --data DIR; see stride evaluate --help"),
        }
    }
}

/// The graph of Inception.
#[derive(Debug, Clone, Copy, ValueEnum)]
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

/// The program whose numbers are compared.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ProtocolName {
    /// The reference implementation of shortcut models.
    Reference,
    /// pytorch-fid.
    PytorchFid,
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
            Self::Clean => Protocol::Clean,
            Self::TorchFidelity => Protocol::TorchFidelity,
        }
    }
}

fn parse_steps(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(steps) if (1..=BASE_STEPS).contains(&steps) => Ok(steps),
        _ => Err(format!("expected a whole number in 1..={BASE_STEPS}")),
    }
}
