//! What can be wrong with a data set or a cache.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A data set or cache that cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A line of `metadata.jsonl` is broken.
    #[error("{} line {line}: {problem}", path.display())]
    Metadata {
        /// The metadata file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The listing names no image.
    #[error("{}: no images listed; expected one JSON object with \"file_name\" and \"text\" per line", path.display())]
    Empty {
        /// The metadata file.
        path: PathBuf,
    },
    /// An image cannot be decoded.
    #[error("{} (listed at line {line} of metadata.jsonl): {source}", path.display())]
    Decode {
        /// The image file.
        path: PathBuf,
        /// Line of the listing, from 1.
        line: usize,
        /// The decoder's answer.
        source: image::ImageError,
    },
    /// A latent cache belongs to other data or other weights.
    #[error(
        "{}: latent cache is stale: it was made from fingerprint {found}, \
         the present data and weights have {expected}; delete it to have it made again",
        path.display()
    )]
    StaleCache {
        /// The cache file.
        path: PathBuf,
        /// Fingerprint of the present data and weights.
        expected: String,
        /// Fingerprint in the file.
        found: String,
    },
    /// A latent cache is damaged.
    #[error("{}: not a latent cache: {problem}; delete it to have it made again", path.display())]
    BrokenCache {
        /// The cache file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A data report is not what `DataReport::to_json` wrote.
    #[error("not a data report: {problem}; make it again from its pictures")]
    Report {
        /// What is wrong with it.
        problem: String,
    },
}

impl DataError {
    /// Names the path an input or output error happened on.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
