//! The arguments of `stride evaluate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stride_data::Part;

use super::import::ConvertInception;
use super::job::Job;
use super::merge::Merge;
use crate::usage::usage;

/// Arguments that say nothing about two sets of images, and are refused there instead of ignored.
const FOR_MODELS: [&str; 13] = [
    "model",
    "run",
    "data",
    "prompts",
    "seeds",
    "heldout",
    "steps",
    "samples",
    "cfg_scale",
    "clip",
    "out",
    "shard",
    "save_images",
];

/// Compare generated images with real ones
///
/// With SAMPLES and REFERENCE, compares two sets of images, as pytorch-fid does. With --data, generates images from
/// the captions of a data folder at every step count, and compares them with the folder's own. With --prompts, generates
/// images from prompts, several of each, and counts which of the attributes that a prompt asks for they show. With
/// --out, a stopped evaluation is continued by the same command.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Evaluate {
    #[command(subcommand)]
    command: Option<Tool>,
    /// Folder of images to evaluate, or an .npz archive of them (arr_0)
    #[arg(value_name = "SAMPLES", requires = "reference", conflicts_with_all = FOR_MODELS)]
    samples_folder: Option<PathBuf>,
    /// Folder or archive of real images, or an .npz file with mu and sigma
    reference: Option<PathBuf>,
    #[command(flatten)]
    pub(super) job: Job,
    /// Folder for features and report, from which a stopped evaluation is continued
    #[arg(long, value_name = "DIR", requires = "captions")]
    pub(super) out: Option<PathBuf>,
    /// Do only part I of N (from 0); `stride evaluate merge` joins the parts and writes the report
    #[arg(long, value_name = "I/N", requires = "out")]
    pub(super) shard: Option<Part>,
    /// Also save the generated images in the folder
    #[arg(long, requires = "out")]
    pub(super) save_images: bool,
    /// Write mu and sigma of the reference images, as pytorch-fid does
    #[arg(long, value_name = "FILE", requires = "reference")]
    pub(super) save_statistics: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Tools around evaluation.
#[derive(Debug, Subcommand)]
enum Tool {
    ConvertInception(ConvertInception),
    Merge(Merge),
}

impl Evaluate {
    /// Compares and prints.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Some(Tool::ConvertInception(tool)) => return tool.run(),
            Some(Tool::Merge(tool)) => {
                return Self::of_job(tool.merge()?, tool.out, tool.json).report_merged();
            }
            None => {}
        }
        let has_captions = self.job.data.is_some() || self.job.prompts.is_some();
        match (&self.samples_folder, &self.reference, has_captions) {
            (Some(samples), Some(reference), false) => self.compare_sets(samples, reference),
            (None, None, true) => self.evaluate_model(),
            _ => usage(
                "expected SAMPLES and REFERENCE, or --data DIR, or --prompts FILE; see stride evaluate --help",
            ),
        }
    }

    /// The command of a job in a folder.
    pub(super) fn of_job(job: Job, out: PathBuf, json: bool) -> Self {
        Self {
            command: None,
            samples_folder: None,
            reference: None,
            job,
            out: Some(out),
            shard: None,
            save_images: false,
            save_statistics: None,
            json,
        }
    }
}
