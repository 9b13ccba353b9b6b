//! Why a file or folder cannot be read or written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file or folder that cannot be used; every variant names it.
///
/// The operating system's answer is part of the message, not its source, so that a chain of errors says it once.
#[derive(Debug, Error)]
pub enum FileError {
    /// A file or folder cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// The path of a file is that of a folder.
    #[error("cannot write {}: it is a folder; name a file inside it", path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// The path of a file is that of a pipe or device.
    #[error(
        "cannot write {}: it is a pipe or device, and files are written whole; name a file",
        path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The folder for a file is missing.
    #[error(
        "cannot write {}: there is no folder {}; create it first, or name a file elsewhere",
        path.display(), folder.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The folder for a file takes none.
    #[error(
        "cannot write {}: no file can be made in {}; make the folder writable, or name a file elsewhere: {error}",
        path.display(), folder.display()
    )]
    FolderRefuses {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// The file that stands there is read-only.
    #[error("cannot replace {}: the file is read-only; name another file", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    /// Names the path an input or output error happened on.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    /// Names the file that cannot be written.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::Write { path: path.to_owned(), error }
    }
}
