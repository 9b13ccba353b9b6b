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
    /// A text in another encoding than UTF-8, or UTF-16 with its mark.
    #[error("in {0}; write it in UTF-8")]
    Encoding(&'static str),
    /// A name that could point outside the set.
    #[error("unsafe path; expected a relative path without `..`")]
    UnsafePath,
    /// A link in an archive.
    #[error("a link; expected the file itself")]
    Link,
    /// A link that leaves its folder.
    #[error("a link out of the folder; expected the file itself, or a link to what lies inside")]
    LinkOut,
    /// A link to a folder that is listed already.
    #[error("a link to a folder that is listed already")]
    Circle,
    /// An image without caption among images that have one.
    #[error("has no caption, though other images of the set have")]
    NoCaption,
    /// The name of an earlier image.
    #[error("has the name of an earlier image")]
    Duplicate,
    /// An image that no listing names.
    #[error("not used: no listing names it")]
    Unlisted,
    /// An image that a listing names again.
    #[error("listed again; the captions of all its lines are kept")]
    ListedAgain,
    /// Captions of an image that is not there.
    #[error("captions without an image")]
    NoImage,
    /// An image that is a further member of what another image shows.
    #[error("not used: {used} is the image of this name; --image-column {member} takes this one")]
    Beside {
        /// The one that is used.
        used: String,
        /// What chooses this one.
        member: String,
    },
    /// One of several images of one name, of which none is the plain one.
    #[error(
        "not used: one of several images of one name; choose with --image-column from {members}"
    )]
    Unclear {
        /// All of them.
        members: String,
    },
    /// An image beside which the wanted member is missing.
    #[error("not used: it is not the member that --image-column names")]
    Unwanted,
    /// An image beside the archives that the set is read from.
    #[error("not used: the set is read from the {0} beside it")]
    BesideArchives(&'static str),
    /// An image in a format that is not read.
    #[error("not used: .{0} is not read; write it as PNG")]
    OtherFormat(&'static str),
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

impl ProblemKind {
    /// Whether it tells of what was not matched with anything, in a set that may be as it should be.
    pub fn is_note(&self) -> bool {
        matches!(
            self,
            Self::Unlisted
                | Self::ListedAgain
                | Self::NoImage
                | Self::Beside { .. }
                | Self::Unwanted
                | Self::BesideArchives(_)
                | Self::OtherFormat(_)
        )
    }

    /// Whether listing a set found an image that is not used.
    pub(crate) fn is_of_image(&self) -> bool {
        matches!(
            self,
            Self::NoCaption
                | Self::Duplicate
                | Self::Unlisted
                | Self::Beside { .. }
                | Self::Unclear { .. }
                | Self::Unwanted
                | Self::BesideArchives(_)
                | Self::OtherFormat(_)
        )
    }

    /// The kind in a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Io(_) => "unreadable",
            Self::NotAnImage { .. } => "not an image",
            Self::Corrupt(_) => "corrupt",
            Self::Unsupported(_) => "not supported",
            Self::TooLarge { .. } => "too large",
            Self::TooSmall { .. } => "fewer pixels than allowed",
            Self::NotUtf8 => "not UTF-8",
            Self::Encoding(_) => "other encoding",
            Self::UnsafePath => "unsafe path",
            Self::Link | Self::LinkOut | Self::Circle => "link",
            Self::NoCaption => "no caption, left out",
            Self::Duplicate => "name taken",
            Self::Unlisted => "not listed",
            Self::ListedAgain => "listed again",
            Self::NoImage => "captions without an image",
            Self::Beside { .. } | Self::Unclear { .. } | Self::Unwanted => "other member",
            Self::BesideArchives(_) => "beside archives",
            Self::OtherFormat(_) => "other format",
            Self::Missing { .. } => "missing",
            Self::Line { .. } => "broken line",
        }
    }
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
