//! What can be wrong with a data set or a prepared folder.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::Problem;

/// A data set or prepared folder that cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer; not the error's source, which would be shown a second time.
        reason: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error(transparent)]
    Files(#[from] stride_files::FileError),
    /// Images of a size that takes too much memory.
    #[error("resolution: expected 1 to {limit} pixels, found {found}")]
    Resolution {
        /// The resolution asked for.
        found: usize,
        /// The largest one.
        limit: usize,
    },
    /// The decoded images of a folder do not fit into memory.
    #[error(
        "{images} images at resolution {resolution}: expected memory for their pixels, found too little; lower          data.max_images or data.resolution"
    )]
    Memory {
        /// Number of images.
        images: usize,
        /// Their height and width.
        resolution: usize,
    },
    /// An image cannot be read or decoded.
    #[error("{0}")]
    Image(Problem),
    /// A path that is not a data set.
    #[error(
        "{}: not a data set that is read: found {found}; expected a folder or zip of JPEG, PNG or WebP \
         images (with metadata.jsonl, metadata.csv, a .txt beside each, or the tables of CelebA, \
         CelebAMask-HQ, MM-CelebA-HQ or CelebA-Dialog), or .parquet or .tar files",
        path.display()
    )]
    UnknownLayout {
        /// What was opened.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// A data set of which nothing can be used.
    #[error("{}: {problem}", path.display())]
    BrokenSet {
        /// What was opened.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A data set of which no image has a caption.
    #[error(
        "{}: none of {images} images has a caption; looked at: {looked}{near}; name the field, column or member with \
         --caption-column, or train without captions: --captions none",
        path.display()
    )]
    NoCaptions {
        /// What was opened.
        path: PathBuf,
        /// Images that were found.
        images: usize,
        /// Fields, members and files in which none was found.
        looked: String,
        /// Those that may have been meant; begins with punctuation if there are any.
        near: String,
    },
    /// A data set of which many images have no caption.
    #[error(
        "{}: {without} of {images} images have no caption, the first is {first}; at most {percent} % are left out{near}; \
         allow more with --max-uncaptioned 1, or train without captions: --captions none",
        path.display()
    )]
    FewCaptions {
        /// What was opened.
        path: PathBuf,
        /// Images that were found.
        images: usize,
        /// Images without captions.
        without: usize,
        /// How many percent are allowed.
        percent: f64,
        /// The first of them.
        first: String,
        /// Where captions may be; begins with punctuation if there are any such places.
        near: String,
    },
    /// A file of a prepared folder is damaged.
    #[error("{}: {problem}; run stride prepare again with the same arguments, it makes what is damaged anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder is not a prepared one, or is unfinished.
    #[error(
        "{}: expected a prepared folder, found none or an unfinished one: prepared.json is missing; \
         run stride prepare with --out {}",
        path.display(), path.display()
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is a part of a prepared data set.
    #[error("{}: expected a whole data set, found one part of {count}; join them with stride prepare merge", path.display())]
    Part {
        /// The folder.
        path: PathBuf,
        /// Parts of the whole.
        count: usize,
    },
    /// Parts cannot be joined.
    #[error("{}: {problem}", path.display())]
    Merge {
        /// The part, or the folder for the whole.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// No image of a data set can be used.
    #[error(
        "expected at least one usable image, found none: {skipped} are listed and have problems{}",
        first.as_ref().map(|first| format!("; the first is {first}")).unwrap_or_default()
    )]
    NothingUsable {
        /// Images with problems.
        skipped: usize,
        /// The first of the problems.
        first: Option<Problem>,
    },
    /// An encoder returned a value that f16 cannot hold.
    #[error(
        "{name}: the autoencoder returned {value}, which f16 cannot hold; are its weights damaged?"
    )]
    Encoder {
        /// The image.
        name: String,
        /// The value.
        value: f32,
    },
    /// A caption cannot be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] stride::tokenizer::TokenizerError),
    /// A description cannot be written as JSON.
    #[error("cannot write a description of the images: {0}")]
    Json(serde_json::Error),
    /// A data report is not what `DataReport::to_json` wrote.
    #[error("not a data report: {problem}; make it again from its images")]
    Report {
        /// What is wrong with it.
        problem: String,
    },
}

impl From<serde_json::Error> for DataError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl DataError {
    /// Names the path an input or output error happened on.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |reason| Self::Io { path: path.to_owned(), reason }
    }
}
