//! Parts into one report.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::arguments::Evaluate;
use super::store::{Store, copy_blocks};
use crate::output::write_whole;

/// Join parts that were evaluated with --shard, and write the report
///
/// Run it where the parts were run, so that model and data are found.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Folders of all parts (their --out)
    #[arg(value_name = "PARTS", required = true)]
    shards: Vec<PathBuf>,
    /// Folder for the result
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Merge {
    /// Puts the features together; what no shard did is done now.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let identity = Store::identity(&self.shards[0])?;
        for shard in &self.shards[1..] {
            Store::identity(shard)?.check(shard, &identity)?;
        }
        let features = self.out.join("features");
        fs::create_dir_all(&features)
            .with_context(|| format!("cannot make the folder {}", features.display()))?;
        write_whole(&self.out.join("job.json"), &serde_json::to_vec_pretty(&identity)?)?;
        for shard in &self.shards {
            copy_blocks(&shard.join("features"), &features)?;
        }
        Evaluate::of_job(identity.job, self.out, self.json).run()
    }
}
