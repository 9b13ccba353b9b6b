//! Features on disk, in blocks of images that are complete or not there.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::arguments::Job;
use super::judged::Judged;
use crate::output::write_whole;

/// Images whose features are written together.
const BLOCK: usize = 100;
/// The file that says what the blocks belong to.
const JOB_FILE: &str = "job.json";

/// What a folder's features belong to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Everything that decides a number: hashes, seeds, settings.
    pub(super) decides: Vec<(String, String)>,
    /// The arguments that it was made with.
    pub(super) job: Job,
}

/// A named set of images whose features are wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetName(pub(super) String);

/// Blocks of features by set and place, in a folder where there is one and in memory.
pub(super) struct Store {
    folder: Option<PathBuf>,
    kept: std::collections::BTreeMap<(SetName, usize), Judged>,
}

impl Store {
    /// The features of a folder, which must belong to the same job; or of nothing.
    pub(super) fn open(out: Option<&Path>, identity: &Identity) -> anyhow::Result<Self> {
        let mut store = Self { folder: None, kept: std::collections::BTreeMap::new() };
        let Some(out) = out else { return Ok(store) };
        fs::create_dir_all(out)
            .with_context(|| format!("cannot make the folder {}", out.display()))?;
        let path = out.join(JOB_FILE);
        match path.exists() {
            true => Self::identity(out)?.check(&path, identity)?,
            false => write_whole(&path, &serde_json::to_vec_pretty(identity)?)?,
        }
        store.folder = Some(out.join("features"));
        Ok(store)
    }

    /// What the features of a folder belong to.
    pub(super) fn identity(out: &Path) -> anyhow::Result<Identity> {
        let path = out.join(JOB_FILE);
        let bytes = fs::read(&path).with_context(|| {
            format!(
                "cannot read {}; expected a folder that stride evaluate --out made",
                path.display()
            )
        })?;
        serde_json::from_slice(&bytes).with_context(|| format!("{}: not a job", path.display()))
    }

    /// The ranges of a set's blocks, in order.
    pub(super) fn blocks(count: usize) -> impl Iterator<Item = Range<usize>> {
        (0..count).step_by(BLOCK).map(move |first| first..count.min(first + BLOCK))
    }

    /// Whether a block is there.
    pub(super) fn has(&self, set: &SetName, range: &Range<usize>) -> bool {
        match &self.folder {
            Some(folder) => block_path(folder, set, range).exists(),
            None => self.kept.contains_key(&(set.clone(), range.start)),
        }
    }

    /// Keeps a block.
    pub(super) fn put(
        &mut self,
        set: &SetName,
        range: &Range<usize>,
        judged: Judged,
    ) -> anyhow::Result<()> {
        let Some(folder) = &self.folder else {
            self.kept.insert((set.clone(), range.start), judged);
            return Ok(());
        };
        let path = block_path(folder, set, range);
        let parent = folder.join(&set.0);
        fs::create_dir_all(&parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        write_whole(&path, &judged.to_bytes()?)
    }

    /// All of a set.
    pub(super) fn get(&self, set: &SetName, count: usize) -> anyhow::Result<Judged> {
        let mut all: Option<Judged> = None;
        for range in Self::blocks(count) {
            let block = match &self.folder {
                Some(folder) => read_block(&block_path(folder, set, &range), range.len())?,
                None => self.kept[&(set.clone(), range.start)].clone(),
            };
            match &mut all {
                Some(all) => all.extend(&block)?,
                None => all = Some(block),
            }
        }
        all.with_context(|| format!("{}: no image was judged", set.0))
    }
}

impl Identity {
    /// Fails where another job was done in a folder.
    pub(super) fn check(&self, path: &Path, expected: &Self) -> anyhow::Result<()> {
        let pairs = self.decides.iter().zip(&expected.decides);
        if let Some((found, expected)) =
            pairs.into_iter().find(|(found, expected)| found != expected)
        {
            bail!(
                "{}: features of another job: {} is {}, expected {}; name another folder for --out",
                path.display(),
                found.0,
                found.1,
                expected.1
            );
        }
        match self.decides.len() == expected.decides.len() {
            true => Ok(()),
            false => {
                bail!("{}: made by another version; name another folder for --out", path.display())
            }
        }
    }
}

/// Copies the blocks of one folder into another.
pub(super) fn copy_blocks(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", from.display()))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            fs::create_dir_all(&target)
                .with_context(|| format!("cannot make the folder {}", target.display()))?;
            copy_blocks(&path, &target)?;
        } else if !target.exists() {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            write_whole(&target, &bytes)?;
        }
    }
    Ok(())
}

fn block_path(folder: &Path, set: &SetName, range: &Range<usize>) -> PathBuf {
    folder.join(&set.0).join(format!("{:06}.safetensors", range.start))
}

fn read_block(path: &Path, count: usize) -> anyhow::Result<Judged> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    match Judged::from_bytes(&bytes).filter(|judged| judged.features.len() == count) {
        Some(judged) => Ok(judged),
        None => bail!("{}: damaged; delete it and give the command again", path.display()),
    }
}
