//! Checkpoint folders that are either complete or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stride_data::Fingerprint;

use crate::TrainError;

const MARK: &str = "complete.json";
const TEMPORARY: &str = ".tmp-";

/// A complete checkpoint on disk: a folder `checkpoint-000123` of a run.
///
/// | file | content |
/// |---|---|
/// | `model.safetensors` | weights, by path in the module |
/// | `ema-NAME.safetensors` | averaged weights |
/// | `optimizer.safetensors` | `first.NAME` and `second.NAME` per parameter |
/// | `trainer_state.json` | step, elapsed seconds |
/// | `config.toml` | the resolved configuration |
/// | `complete.json` | sizes and fingerprints of the others, written last |
#[derive(Clone, Debug)]
pub struct Checkpoint {
    dir: PathBuf,
}

/// Which checkpoint a run goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The one with the most steps in the run folder.
    Latest,
    /// This folder.
    From(PathBuf),
}

impl std::str::FromStr for Resume {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "latest" { Self::Latest } else { Self::From(text.into()) })
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
}

#[derive(Serialize, Deserialize)]
struct Mark {
    files: Vec<FileMark>,
}

#[derive(Serialize, Deserialize)]
struct FileMark {
    name: String,
    bytes: u64,
    fingerprint: String,
}

impl Checkpoint {
    /// Writes a checkpoint into a run folder and removes the oldest ones beyond `keep`.
    ///
    /// Files go to a temporary folder, are flushed to disk, and become visible by one rename, so
    /// that an interruption leaves the earlier checkpoints as they were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(
        run_dir: &Path,
        step: u64,
        files: &[(String, Vec<u8>)],
        keep: usize,
    ) -> Result<Self, TrainError> {
        let name = format!("checkpoint-{step:06}");
        let dir = run_dir.join(&name);
        if !is_complete(&dir) {
            let temporary = run_dir.join(format!("{TEMPORARY}{name}"));
            remove_if_there(&temporary)?;
            remove_if_there(&dir)?;
            fs::create_dir_all(&temporary).map_err(TrainError::io(&temporary))?;
            let mut mark = Mark { files: Vec::new() };
            for (name, bytes) in files {
                write_durably(&temporary.join(name), bytes)?;
                mark.files.push(FileMark {
                    name: name.clone(),
                    bytes: bytes.len() as u64,
                    fingerprint: Fingerprint::new().with(bytes).to_string(),
                });
            }
            let mark_path = temporary.join(MARK);
            let mark = serde_json::to_vec_pretty(&mark).map_err(TrainError::weights(&mark_path))?;
            write_durably(&mark_path, &mark)?;
            flush_dir(&temporary)?;
            fs::rename(&temporary, &dir).map_err(TrainError::io(&dir))?;
            flush_dir(run_dir)?;
        }
        let mut all = complete_in(run_dir);
        all.truncate(all.len().saturating_sub(keep.max(1)));
        for (_, old) in all {
            // A half-removed folder must not look complete.
            let mark = old.join(MARK);
            fs::remove_file(&mark).map_err(TrainError::io(&mark))?;
            remove_if_there(&old)?;
        }
        Ok(Self { dir })
    }

    /// Opens the checkpoint a run shall go on from.
    ///
    /// # Errors
    /// When there is none, or a file of it is missing, cut short or changed.
    pub fn open(run_dir: &Path, resume: &Resume) -> Result<Self, TrainError> {
        let dir = match resume {
            Resume::From(dir) => dir.clone(),
            Resume::Latest => match complete_in(run_dir).pop() {
                Some((_, dir)) => dir,
                None => {
                    return Err(TrainError::NoCheckpoint { path: run_dir.to_owned() });
                }
            },
        };
        let mark_path = dir.join(MARK);
        let Ok(mark) = fs::read(&mark_path) else {
            return Err(TrainError::NoCheckpoint { path: dir });
        };
        let mark: Mark = serde_json::from_slice(&mark).map_err(TrainError::weights(&mark_path))?;
        for file in mark.files {
            let path = dir.join(&file.name);
            let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
            if bytes.len() as u64 != file.bytes
                || Fingerprint::new().with(&bytes).to_string() != file.fingerprint
            {
                return Err(TrainError::Weights {
                    problem: format!(
                        "the file is not the one that was saved: expected {} bytes with fingerprint {}, found {} bytes; \
                         resume from another checkpoint",
                        file.bytes,
                        file.fingerprint,
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

    /// Where the run stood.
    ///
    /// # Errors
    /// When the file is missing or no such state.
    pub fn trainer_state(&self) -> Result<TrainerState, TrainError> {
        let path = self.dir.join("trainer_state.json");
        let bytes = fs::read(&path).map_err(TrainError::io(&path))?;
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

fn remove_if_there(dir: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(dir)(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file and waits until the disk has it.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(TrainError::io(path))
}

/// Waits until the disk has the names in a folder; a no-op where folders cannot be opened.
fn flush_dir(dir: &Path) -> Result<(), TrainError> {
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(TrainError::io(dir))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, step: u64, keep: usize) -> Checkpoint {
        Checkpoint::write(dir, step, &[("a.bin".to_owned(), vec![7; 10])], keep).expect("writable")
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
    }
}
