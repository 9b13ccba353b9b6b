//! Parts of a job into one report.

use std::path::PathBuf;

use clap::Args;
use stride_eval::evaluator::{FeatureStore, JobIdentity};

use super::arguments::{Evaluate, Job};

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
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Merge {
    /// Puts the features together; what no part did is done now.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let JobIdentity::<Job> { job, .. } = FeatureStore::merge(&self.parts, &self.out)?;
        Evaluate::of_job(job, self.out, self.json).run()
    }
}
