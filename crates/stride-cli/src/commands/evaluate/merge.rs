//! Parts of a job into one report.

use std::path::PathBuf;

use clap::Args;
use stride_eval::evaluator::{FeatureStore, JobIdentity};

use super::job::Job;

/// Join parts that were evaluated with --shard, and write the report
///
/// Run it where the parts were run, so that model and data are found.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Folders of all parts (their --out)
    #[arg(value_name = "PARTS", required = true)]
    parts: Vec<PathBuf>,
    /// Folder for the result
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Merge {
    /// Puts the features of the parts together.
    pub(super) fn merge(&self) -> anyhow::Result<Job> {
        let JobIdentity { job, .. } = FeatureStore::merge(&self.parts, &self.out)?;
        Ok(job)
    }
}
