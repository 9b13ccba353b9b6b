//! One writer at a time in a folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::FileError;

/// Time between two tries to lock a folder that another process holds.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// The right to write into a folder until it is dropped; the system takes it back from a killed process.
///
/// It is a lock on the folder itself, so that no file is left behind. Where folders cannot be locked (outside Unix, and
/// on some network drives) everybody has it.
#[derive(Debug)]
pub struct FolderLock {
    _folder: Option<File>,
}

impl FolderLock {
    /// Makes the folder if it is missing and waits for whoever writes into it; nothing if `stop` is set meanwhile.
    ///
    /// # Errors
    /// The folder cannot be made or opened.
    pub fn acquire(dir: &Path, stop: &AtomicBool) -> Result<Option<Self>, FileError> {
        let mut waits = false;
        loop {
            if let Some(lock) = Self::try_acquire(dir)? {
                return Ok(Some(lock));
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if !waits {
                tracing::info!("{}: waits for another process that writes into it", dir.display());
                waits = true;
            }
            thread::sleep(TRY_EVERY);
        }
    }

    /// Makes the folder if it is missing; nothing if somebody writes into it.
    ///
    /// # Errors
    /// The folder cannot be made or opened.
    pub fn try_acquire(dir: &Path) -> Result<Option<Self>, FileError> {
        fs::create_dir_all(dir).map_err(FileError::io(dir))?;
        if !cfg!(unix) {
            return Ok(Some(Self { _folder: None }));
        }
        let folder = File::open(dir).map_err(FileError::io(dir))?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Self { _folder: Some(folder) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(Self { _folder: None }))
            }
            Err(TryLockError::Error(error)) => Err(FileError::io(dir)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn one_writer_at_a_time() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let stop = AtomicBool::new(true);
        let acquire = || FolderLock::acquire(dir.path(), &stop).expect("lockable");
        let held = acquire().expect("free");
        assert!(acquire().is_none(), "is held");
        assert!(FolderLock::try_acquire(dir.path()).expect("lockable").is_none(), "is held");
        drop(held);
        assert!(acquire().is_some());
    }
}
