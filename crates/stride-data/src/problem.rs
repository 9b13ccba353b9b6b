//! What is left out of a data set, and why.

use std::fmt;

use thiserror::Error;

/// An image, caption or file that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its name within the set, as in [`Record::name`](crate::Record::name).
    pub name: String,
    /// Why it is left out.
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(name: impl Into<String>, kind: ProblemKind) -> Self {
        Self { name: name.into(), kind }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

/// Why something is left out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProblemKind {
    /// The operating system cannot read it.
    #[error("cannot be read: {0}")]
    Io(String),
    /// The bytes are not of a supported format.
    #[error("not an image: expected JPEG, PNG or WebP, found {found}")]
    NotAnImage {
        /// The first bytes.
        found: String,
    },
    /// The bytes break the rules of their format.
    #[error("broken: {0}")]
    Corrupt(String),
    /// A kind of file or a feature of a format that is not supported.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// More than a limit allows.
    #[error("too large: {found} {unit}, at most {limit} are read")]
    TooLarge {
        /// What is counted.
        unit: &'static str,
        /// What was found.
        found: u64,
        /// What [`Limits`](crate::Limits) allows.
        limit: u64,
    },
    /// Smaller than a limit requires.
    #[error("too small: {width}x{height} pixels, expected at least {limit} each way")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What [`Limits`](crate::Limits) requires.
        limit: u32,
    },
    /// A name or caption that is not UTF-8.
    #[error("not UTF-8; write it in UTF-8")]
    NotUtf8,
    /// A name that could point outside the set.
    #[error("unsafe path; expected a relative path without `..`")]
    UnsafePath,
    /// A link in an archive, or one that leaves its folder.
    #[error("a link; expected the file itself")]
    Link,
    /// An image without caption among images that have one.
    #[error("has no caption, though other images of the set have")]
    NoCaption,
    /// The name of an earlier image.
    #[error("has the name of an earlier image")]
    Duplicate,
    /// Listed, but not in the set.
    #[error("listed in {listing}, but not there")]
    Missing {
        /// The file that names it.
        listing: String,
    },
    /// A line of a listing that cannot be used.
    #[error("line {line}: {problem}")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<std::io::Error> for ProblemKind {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof => Self::Corrupt("ends too early".to_owned()),
            InvalidData | InvalidInput => Self::Corrupt(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}
