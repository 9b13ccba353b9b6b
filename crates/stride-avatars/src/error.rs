//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Largest width and height that is rendered, in pixels.
pub const MAX_RESOLUTION: u32 = 4096;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A style definition is not of the expected form.
    #[error(
        "the drawings of style `{style}` cannot be used: {detail}; \
         build with the version of `dicebear-styles` named in Cargo.toml"
    )]
    Style {
        /// Name of the style.
        style: String,
        /// What was found.
        detail: String,
    },
    /// The attributes ask for something that the style cannot show.
    #[error("the {style} style has no drawing of `{value}`; use the other style or another value")]
    NotDrawn {
        /// Name of the style.
        style: &'static str,
        /// The value.
        value: &'static str,
    },
    /// The SVG text could not be parsed.
    #[error("the drawing is not valid SVG: {0}")]
    Svg(String),
    /// The resolution cannot be rendered.
    #[error("resolution {resolution} is out of range; choose 1 to {MAX_RESOLUTION} pixels")]
    Resolution {
        /// The resolution asked for.
        resolution: u32,
    },
    /// The output folder holds something already.
    #[error(
        "{} is not empty, and nothing is ever overwritten; \
         choose another folder or remove this one first", .path.display()
    )]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing was asked for, or more than six digits of file name hold.
    #[error("count {count} is out of range; choose 1 to 1000000 images")]
    Count {
        /// The count asked for.
        count: u64,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {}: {error}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The image could not be encoded.
    #[error("cannot encode {}: {error}", .path.display())]
    Png {
        /// Where it was to be written.
        path: PathBuf,
        /// The cause.
        error: png::EncodingError,
    },
}
