//! Features on disk, in blocks of images that are complete or not there.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stride_files::write_whole;

use super::SampleFeatures;
use crate::EvalError;

/// Images whose features are written together.
const BLOCK: usize = 100;
/// The file that says what the blocks belong to.
const JOB_FILE: &str = "job.json";
/// The folder of the blocks.
const FEATURES: &str = "features";

/// Blocks of features by sample set and place: in a folder where there is one, in memory elsewhere.
pub struct FeatureStore {
    folder: Option<PathBuf>,
    in_memory: BTreeMap<(String, usize), SampleFeatures>,
}

/// What the features of a folder belong to; its file is `job.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobIdentity<J> {
    /// Everything that decides a number: hashes, seeds, settings.
    pub decides: Vec<(String, String)>,
    /// What a program needs to resume the job.
    pub job: J,
}

impl FeatureStore {
    /// A store without a folder.
    pub fn in_memory() -> Self {
        Self { folder: None, in_memory: BTreeMap::new() }
    }

    /// The features in a folder, which must belong to the same job; a new folder is marked as its own.
    ///
    /// # Errors
    /// The folder belongs to another job, or it cannot be read or written.
    pub fn open<J: Serialize + DeserializeOwned>(
        out: &Path,
        identity: &JobIdentity<J>,
    ) -> Result<Self, EvalError> {
        if out.join(JOB_FILE).exists() {
            JobIdentity::<J>::read(out)?.check(out, identity)?;
        } else {
            identity.write(out)?;
        }
        Ok(Self { folder: Some(out.join(FEATURES)), in_memory: BTreeMap::new() })
    }

    /// Copies the features of all parts of a job into one folder and returns the job.
    ///
    /// # Errors
    /// The parts belong to different jobs, or the folder to another one, or a folder cannot be read or written.
    ///
    /// # Panics
    /// There is no part.
    pub fn merge<J: Serialize + DeserializeOwned>(
        parts: &[PathBuf],
        out: &Path,
    ) -> Result<JobIdentity<J>, EvalError> {
        let (first, others) = parts.split_first().expect("at least one part");
        let identity = JobIdentity::<J>::read(first)?;
        for part in others {
            JobIdentity::<J>::read(part)?.check(part, &identity)?;
        }
        if out.join(JOB_FILE).exists() {
            JobIdentity::<J>::read(out)?.check(out, &identity)?;
        }
        identity.write(out)?;
        for part in parts {
            copy_blocks(&part.join(FEATURES), &out.join(FEATURES))?;
        }
        Ok(identity)
    }

    /// The ranges of a set's blocks, in order.
    pub fn blocks(count: usize) -> impl Iterator<Item = Range<usize>> {
        (0..count).step_by(BLOCK).map(move |first| first..count.min(first + BLOCK))
    }

    /// Whether a block is there.
    pub fn has(&self, set: &str, range: &Range<usize>) -> bool {
        match &self.folder {
            Some(folder) => block_path(folder, set, range).exists(),
            None => self.in_memory.contains_key(&(set.to_owned(), range.start)),
        }
    }

    /// Keeps a block.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(
        &mut self,
        set: &str,
        range: &Range<usize>,
        block: SampleFeatures,
    ) -> Result<(), EvalError> {
        let Some(folder) = &self.folder else {
            self.in_memory.insert((set.to_owned(), range.start), block);
            return Ok(());
        };
        make_folder(&folder.join(set))?;
        let path = block_path(folder, set, range);
        let bytes = block.to_bytes().map_err(|error| problem(&path, error.to_string()))?;
        Ok(write_whole(&path, &bytes)?)
    }

    /// All of a set.
    ///
    /// # Errors
    /// A block is missing or damaged.
    pub fn get(&self, set: &str, count: usize) -> Result<SampleFeatures, EvalError> {
        SampleFeatures::join(Self::blocks(count).map(|range| match &self.folder {
            Some(folder) => read_block(&block_path(folder, set, &range), range.len()),
            None => {
                let block = self.in_memory.get(&(set.to_owned(), range.start));
                block.cloned().ok_or_else(|| EvalError::TooFew {
                    what: set.to_owned(),
                    expected: range.end,
                    found: range.start,
                })
            }
        }))
    }
}

impl<J: Serialize + DeserializeOwned> JobIdentity<J> {
    fn read(out: &Path) -> Result<Self, EvalError> {
        let path = out.join(JOB_FILE);
        let bytes = stride_files::read_file(&path).map_err(|error| {
            let text = format!("{error}; expected a folder that stride evaluate --out made");
            problem(&path, text)
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| problem(&path, format!("not a job ({error})")))
    }

    fn write(&self, out: &Path) -> Result<(), EvalError> {
        make_folder(out)?;
        let path = out.join(JOB_FILE);
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| problem(&path, format!("the job cannot be written ({error})")))?;
        Ok(write_whole(&path, &bytes)?)
    }

    /// Fails where a folder belongs to another job.
    fn check(&self, out: &Path, expected: &Self) -> Result<(), EvalError> {
        let mut pairs = self.decides.iter().zip(&expected.decides);
        let text = match pairs.find(|(found, expected)| found != expected) {
            Some(((name, found), (_, expected))) => {
                format!("features of another job: {name} is {found}, expected {expected}")
            }
            None if self.decides.len() != expected.decides.len() => {
                "made by another version".to_owned()
            }
            None => return Ok(()),
        };
        let text = format!("{text}; name another folder for --out");
        Err(problem(&out.join(JOB_FILE), text))
    }
}

/// Copies the blocks of one folder into another, but for those that are there.
fn copy_blocks(from: &Path, to: &Path) -> Result<(), EvalError> {
    make_folder(to)?;
    for entry in fs::read_dir(from).map_err(EvalError::io(from))? {
        let path = entry.map_err(EvalError::io(from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_blocks(&path, &target)?;
        } else if !target.exists() {
            write_whole(&target, &stride_files::read_file(&path).map_err(EvalError::io(&path))?)?;
        }
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), EvalError> {
    fs::create_dir_all(folder).map_err(EvalError::io(folder))
}

fn block_path(folder: &Path, set: &str, range: &Range<usize>) -> PathBuf {
    folder.join(set).join(format!("{:06}.safetensors", range.start))
}

fn read_block(path: &Path, count: usize) -> Result<SampleFeatures, EvalError> {
    let bytes = stride_files::read_file(path).map_err(EvalError::io(path))?;
    SampleFeatures::from_bytes(&bytes)
        .filter(|block| block.len() == count)
        .ok_or_else(|| problem(path, "damaged; delete it and give the command again".to_owned()))
}

fn problem(path: &Path, problem: String) -> EvalError {
    EvalError::Format { path: path.display().to_string(), problem }
}
