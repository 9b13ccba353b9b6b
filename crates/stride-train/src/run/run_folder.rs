//! The folder of a run: one run at a time, and none begun over another.

use std::fs;
use std::path::{Path, PathBuf};

use stride_files::{FolderLock, remove_folder, remove_if_there, remove_temporary};

use super::checkpoint::{Checkpoint, Resume};
use super::events::EVENTS;
use super::loss_map::LOSS_MAP;
use super::metrics::METRICS;
use super::ranks::Ranks;
use crate::TrainError;

/// The resolved configuration, in the run folder and in every checkpoint.
pub(super) const CONFIG: &str = "config.toml";
/// The trained model.
const MODEL: &str = "model";
/// Images of reports.
pub(super) const SAMPLES: &str = "samples";

/// How a run begins in its folder.
#[derive(Clone, Debug, Default)]
pub struct RunStart {
    /// The checkpoint to go on from; none begins a new run, which a folder that holds one refuses.
    pub resume: Option<Resume>,
    /// Removes the run that the folder holds; with `resume`, its checkpoints of later steps.
    pub overwrite: bool,
    /// Goes on from a checkpoint of other data, another network or another optimizer.
    pub allow_changes: bool,
    /// The processes that train together.
    pub ranks: Ranks,
}

/// A run folder that nobody else trains in.
pub(super) struct RunFolder<'a> {
    dir: &'a Path,
    /// Folders that were not there before, the innermost first.
    made: Vec<&'a Path>,
    _lock: Option<FolderLock>,
}

impl<'a> RunFolder<'a> {
    /// Makes the folder where it is missing, and holds it, if this process is the one that writes.
    ///
    /// # Errors
    /// Another run is in it, or the disk refuses.
    pub(super) fn open(dir: &'a Path, is_writer: bool) -> Result<Self, TrainError> {
        if !is_writer {
            return Ok(Self { dir, made: Vec::new(), _lock: None });
        }
        let made = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let made = made.collect();
        match FolderLock::try_acquire(dir)? {
            Some(lock) => {
                // What killed saves left.
                remove_temporary(dir)?;
                Ok(Self { dir, made, _lock: Some(lock) })
            }
            None => Err(TrainError::InUse { path: dir.to_owned() }),
        }
    }

    /// The checkpoint that the run goes on from, if it is to go on from one.
    ///
    /// # Errors
    /// There is none though there should be, or something would be lost that nobody said may be.
    pub(super) fn checkpoint(&self, start: &RunStart) -> Result<Option<Checkpoint>, TrainError> {
        let latest = Checkpoint::all(self.dir).pop().map(|(step, _)| step);
        let is_new = match start.resume {
            None => true,
            Some(Resume::Auto) => latest.is_none(),
            Some(_) => false,
        };
        // What a run did before its first checkpoint is all that `auto` takes the place of.
        let holds_run = match start.resume {
            Some(Resume::Auto) => self.has(MODEL),
            _ => latest.is_some() || self.has(MODEL) || self.has_metrics(),
        };
        let refuse = || Err(TrainError::HoldsRun { path: self.dir.to_owned(), step: latest });
        if is_new {
            return if holds_run && !start.overwrite { refuse() } else { Ok(None) };
        }
        let resume = start.resume.as_ref().unwrap_or(&Resume::Latest);
        let checkpoint = Checkpoint::open(self.dir, resume)?;
        if start.overwrite {
            return Ok(Some(checkpoint));
        }
        match (self.step_of(&checkpoint), latest) {
            (Some(step), Some(latest)) if step < latest => Err(TrainError::LaterCheckpoints {
                path: checkpoint.dir().to_owned(),
                step: latest,
            }),
            // The checkpoint of another run begins a run here.
            (None, _) if holds_run => refuse(),
            _ => Ok(Some(checkpoint)),
        }
    }

    /// Removes what an earlier run left, but for what a run from this checkpoint goes on with.
    ///
    /// Latents and files that are none of a run stay.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn clear(&self, checkpoint: Option<&Checkpoint>) -> Result<(), TrainError> {
        let kept = checkpoint.and_then(|checkpoint| self.step_of(checkpoint));
        for (step, dir) in Checkpoint::all(self.dir) {
            if kept.is_none_or(|kept| step > kept) {
                Checkpoint::remove(&dir)?;
            }
        }
        if kept.is_some() {
            return Ok(());
        }
        for name in [MODEL, SAMPLES, EVENTS] {
            remove_folder(&self.dir.join(name))?;
        }
        for name in [CONFIG, METRICS, LOSS_MAP] {
            remove_if_there(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// Removes what a run left that failed before anything came of it.
    pub(super) fn abandon(&self) {
        if self.has_metrics() || !Checkpoint::all(self.dir).is_empty() || self.has(MODEL) {
            return;
        }
        // The error that ended the run is the one to tell.
        let _ = fs::remove_dir_all(self.dir.join(EVENTS));
        for name in [CONFIG, METRICS] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        for dir in &self.made {
            let _ = fs::remove_dir(dir);
        }
    }

    /// The steps of a checkpoint of this run; none for one of another run.
    fn step_of(&self, checkpoint: &Checkpoint) -> Option<u64> {
        let real = |dir: &Path| fs::canonicalize(dir).ok();
        let dir = real(checkpoint.dir())?;
        let own = Checkpoint::all(self.dir).into_iter();
        own.filter(|(_, own)| real(own).as_ref() == Some(&dir)).map(|(step, _)| step).next()
    }

    fn has(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    fn has_metrics(&self) -> bool {
        fs::metadata(self.dir.join(METRICS)).is_ok_and(|metrics| metrics.len() > 0)
    }
}

/// The run folder to go on in, where a run is named by it instead of by a checkpoint.
pub(super) fn named_by(resume: Option<&Resume>) -> Option<PathBuf> {
    match resume {
        Some(Resume::From(dir)) if !Checkpoint::is_at(dir) => Some(dir.clone()),
        _ => None,
    }
}
