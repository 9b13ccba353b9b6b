//! One writer at a time in a folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::DataError;

/// Time between two looks at a folder that another process holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The right to write into a folder until it is dropped; the system takes it back from a killed process.
///
/// It is a lock on the folder itself, so that no file is left behind. Where folders cannot be locked (outside Unix, and
/// on some network drives) everybody has it.
#[derive(Debug)]
pub(super) struct FolderLock {
    _folder: Option<File>,
}

impl FolderLock {
    /// Makes the folder if it is missing and waits for whoever writes into it; nothing if `stop` is set meanwhile.
    pub(super) fn acquire(dir: &Path, stop: &AtomicBool) -> Result<Option<Self>, DataError> {
        fs::create_dir_all(dir).map_err(DataError::io(dir))?;
        if !cfg!(unix) {
            return Ok(Some(Self { _folder: None }));
        }
        let folder = File::open(dir).map_err(DataError::io(dir))?;
        let mut waits = false;
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(Some(Self { _folder: Some(folder) })),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    return Ok(Some(Self { _folder: None }));
                }
                Err(TryLockError::Error(error)) => return Err(DataError::io(dir)(error)),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => return Ok(None),
                Err(TryLockError::WouldBlock) => {
                    if !waits {
                        tracing::info!(
                            "{}: waits for another process that prepares it",
                            dir.display()
                        );
                        waits = true;
                    }
                    thread::sleep(LOOK_EVERY);
                }
            }
        }
    }
}
