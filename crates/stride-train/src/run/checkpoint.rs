//! Checkpoint folders that are either complete or not there.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stride_files::{ContentHash, NewFolder};

use super::guard::GuardState;
use crate::TrainError;

const MARK: &str = "complete.json";

/// The file of the weights.
pub(super) const MODEL_WEIGHTS: &str = "model.safetensors";

/// The file of the average of this name.
pub(super) fn ema_weights(name: &str) -> String {
    format!("ema-{name}.safetensors")
}

/// A complete checkpoint on disk: a folder `checkpoint-000123` of a run.
///
/// | file | content |
/// |---|---|
/// | `model.safetensors` | weights, by path in the module |
/// | `ema-NAME.safetensors` | averaged weights |
/// | `optimizer.safetensors` | `first.NAME` and `second.NAME` per parameter |
/// | `trainer_state.json` | step, elapsed seconds |
/// | `config.toml` | the resolved configuration |
/// | `complete.json` | sizes and hashes of the others, written last |
#[derive(Clone, Debug)]
pub struct Checkpoint {
    dir: PathBuf,
}

/// Which checkpoint a run goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The one with the most steps in the run folder; a new run where there is none.
    Auto,
    /// The one with the most steps in the run folder.
    Latest,
    /// This folder, or the one with the most steps in it where it is that of a run.
    From(PathBuf),
}

impl std::str::FromStr for Resume {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "latest" => Self::Latest,
            path => Self::From(path.into()),
        })
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Steps made; also the number of the next step, from 0.
    pub step: u64,
    /// Steps the optimizer has made.
    pub optimizer_steps: u64,
    /// Seconds spent in the training loop.
    pub elapsed_seconds: f64,
    /// What the guard remembers.
    #[serde(default, skip_serializing_if = "GuardState::is_default")]
    pub guard: GuardState,
}

/// Which checkpoints of a run stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The latest ones, of which at least one stays.
    pub latest: usize,
    /// Of every so many steps, the first one.
    pub every_steps: Option<u64>,
}

impl Retention {
    /// Those of `all`, fewest steps first, that go.
    fn outdated(self, all: Vec<(u64, PathBuf)>) -> Vec<PathBuf> {
        let num_old = all.len().saturating_sub(self.latest.max(1));
        let stretch = |step: u64| self.every_steps.map(|every| step / every.max(1));
        let mut last_stretch = Some(0);
        let mut outdated = Vec::new();
        for (step, dir) in all.into_iter().take(num_old) {
            let is_first = stretch(step) > last_stretch;
            last_stretch = stretch(step).max(last_stretch);
            if !is_first {
                outdated.push(dir);
            }
        }
        outdated
    }
}

#[derive(Serialize, Deserialize)]
struct Mark {
    files: Vec<FileMark>,
}

#[derive(Serialize, Deserialize)]
struct FileMark {
    name: String,
    bytes: u64,
    /// Checkpoints of earlier versions have none, and their files are checked by size alone.
    #[serde(default)]
    sha256: Option<ContentHash>,
}

impl Checkpoint {
    /// Writes a checkpoint into a run folder and then removes the earlier ones that need not be kept; those of later
    /// steps, which are none that this run made, stay.
    ///
    /// The folder appears whole or not at all, so that an interruption leaves the earlier checkpoints as they were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(
        run_dir: &Path,
        step: u64,
        files: &[(String, Vec<u8>)],
        keep: Retention,
    ) -> Result<Self, TrainError> {
        let dir = run_dir.join(format!("checkpoint-{step:06}"));
        if !is_complete(&dir) {
            let folder = NewFolder::create(&dir)?;
            let mut mark = Mark { files: Vec::new() };
            for (name, bytes) in files {
                folder.write(name, bytes)?;
                mark.files.push(FileMark {
                    name: name.clone(),
                    bytes: bytes.len() as u64,
                    sha256: Some(ContentHash::of(bytes)),
                });
            }
            let mark =
                serde_json::to_vec_pretty(&mark).map_err(TrainError::weights(&dir.join(MARK)))?;
            folder.write(MARK, &mark)?;
            folder.commit()?;
        }
        let mut all = complete_in(run_dir);
        all.retain(|&(other, _)| other <= step);
        for old in keep.outdated(all) {
            Self::remove(&old)?;
        }
        Ok(Self { dir })
    }

    /// Removes a checkpoint, whole or not.
    pub(super) fn remove(dir: &Path) -> Result<(), TrainError> {
        // A half-removed folder must not look complete.
        Ok(stride_files::remove_folder(dir)?)
    }

    /// Opens the checkpoint a run shall go on from.
    ///
    /// # Errors
    /// When there is none, or a file of it is missing, cut short or changed.
    pub fn open(run_dir: &Path, resume: &Resume) -> Result<Self, TrainError> {
        let latest = |run_dir: &Path| match complete_in(run_dir).pop() {
            Some((_, dir)) => Ok(dir),
            None => Err(TrainError::NoCheckpoint { path: run_dir.to_owned() }),
        };
        let dir = match resume {
            Resume::From(dir) if is_complete(dir) => dir.clone(),
            Resume::From(dir) => latest(dir)?,
            Resume::Auto | Resume::Latest => latest(run_dir)?,
        };
        let mark_path = dir.join(MARK);
        let Ok(mark) = stride_files::read_file(&mark_path) else {
            return Err(TrainError::NoCheckpoint { path: dir });
        };
        let mark: Mark = serde_json::from_slice(&mark).map_err(TrainError::weights(&mark_path))?;
        for file in mark.files {
            let path = dir.join(&file.name);
            let bytes = stride_files::read_file(&path).map_err(TrainError::io(&path))?;
            let found = ContentHash::of(&bytes);
            if bytes.len() as u64 != file.bytes || file.sha256.is_some_and(|hash| hash != found) {
                let expected =
                    file.sha256.map_or(String::new(), |hash| format!(" of SHA-256 {hash}"));
                return Err(TrainError::Weights {
                    problem: format!(
                        "the file is not the one that was saved: expected {} bytes{expected}, found {} bytes of \
                         SHA-256 {found}; resume from another checkpoint",
                        file.bytes,
                        bytes.len()
                    ),
                    path,
                });
            }
        }
        Ok(Self { dir })
    }

    /// Complete checkpoints of a run folder with their steps, fewest first.
    pub fn all(run_dir: &Path) -> Vec<(u64, PathBuf)> {
        complete_in(run_dir)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a folder is a complete checkpoint, rather than that of a run.
    pub(super) fn is_at(dir: &Path) -> bool {
        is_complete(dir)
    }

    /// Where the run stood.
    ///
    /// # Errors
    /// When the file is missing or no such state.
    pub fn trainer_state(&self) -> Result<TrainerState, TrainError> {
        let path = self.dir.join("trainer_state.json");
        let bytes = stride_files::read_file(&path).map_err(TrainError::io(&path))?;
        serde_json::from_slice(&bytes).map_err(TrainError::weights(&path))
    }
}

/// Complete checkpoints of a run folder, fewest steps first.
fn complete_in(run_dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(run_dir) else {
        return Vec::new();
    };
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let step = path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()?;
            is_complete(&path).then_some((step, path))
        })
        .collect();
    found.sort();
    found
}

fn is_complete(dir: &Path) -> bool {
    dir.join(MARK).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, step: u64, latest: usize) -> Checkpoint {
        write_keeping(dir, step, Retention { latest, every_steps: None })
    }

    fn write_keeping(dir: &Path, step: u64, keep: Retention) -> Checkpoint {
        Checkpoint::write(dir, step, &[("a.bin".to_owned(), vec![7; 10])], keep).expect("writable")
    }

    #[test]
    fn the_first_of_every_so_many_steps_is_kept_for_good() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for step in [3, 6, 9, 10, 13, 16, 29, 31, 35, 38] {
            write_keeping(dir.path(), step, Retention { latest: 1, every_steps: Some(10) });
        }
        let left: Vec<_> = complete_in(dir.path()).iter().map(|c| c.0).collect();
        assert_eq!(left, [10, 29, 31, 38]);
    }

    #[test]
    fn the_last_ones_are_kept_and_the_latest_is_found() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert!(matches!(
            Checkpoint::open(dir.path(), &Resume::Latest),
            Err(TrainError::NoCheckpoint { .. })
        ));
        for step in [5, 10, 999_999, 1_000_000] {
            write(dir.path(), step, 2);
        }
        assert_eq!(
            complete_in(dir.path()).iter().map(|c| c.0).collect::<Vec<_>>(),
            [999_999, 1_000_000]
        );
        let latest = Checkpoint::open(dir.path(), &Resume::Latest).expect("complete");
        assert!(latest.dir().ends_with("checkpoint-1000000"));
    }

    #[test]
    fn a_run_that_went_back_keeps_what_it_writes() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for step in [10, 20, 30] {
            write(dir.path(), step, 3);
        }
        write(dir.path(), 11, 1);
        let left: Vec<_> = complete_in(dir.path()).iter().map(|c| c.0).collect();
        assert_eq!(left, [11, 20, 30]);
        let run = Resume::From(dir.path().to_owned());
        let latest = Checkpoint::open(Path::new("elsewhere"), &run).expect("complete");
        assert!(latest.dir().ends_with("checkpoint-000030"));
    }

    #[test]
    fn an_unfinished_or_damaged_checkpoint_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let good = write(dir.path(), 1, 9);
        fs::create_dir(dir.path().join("checkpoint-000002")).expect("writable");
        assert_eq!(
            Checkpoint::open(dir.path(), &Resume::Latest).expect("complete").dir(),
            good.dir()
        );
        fs::write(good.dir().join("a.bin"), [7; 9]).expect("writable");
        let message =
            Checkpoint::open(dir.path(), &Resume::Latest).expect_err("damaged").to_string();
        assert!(message.contains("a.bin") && message.contains("expected 10 bytes"), "{message}");
        fs::write(good.dir().join("a.bin"), [8; 10]).expect("writable");
        let message =
            Checkpoint::open(dir.path(), &Resume::Latest).expect_err("damaged").to_string();
        assert!(message.contains("a.bin") && message.contains("SHA-256"), "{message}");
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_read() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let good = write(dir.path(), 1, 9);
        let mark =
            r#"{"files": [{"name": "a.bin", "bytes": 10, "fingerprint": "00c0ffee00c0ffee"}]}"#;
        fs::write(good.dir().join(MARK), mark).expect("writable");
        Checkpoint::open(dir.path(), &Resume::Latest).expect("complete");
    }
}
