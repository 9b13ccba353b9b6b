//! Why an image cannot be written, or a file not be read.

use thiserror::Error;

use super::metadata::ImageFormat;

/// An image that cannot be written or a file that cannot be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The numbers of the image contradict each other.
    #[error(
        "image of {width}x{height}: expected 3 x {width} x {height} bytes, at least 3, found {found}"
    )]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Number of bytes.
        found: usize,
    },
    /// The frames of an animation differ in size, or there are none.
    #[error("an animation needs frames of one size, at most 16384 x 16384")]
    Frames,
    /// The image does not fit the format.
    #[error("cannot write a PNG file: {0}")]
    WritePng(png::EncodingError),
    /// The bytes are no PNG file.
    #[error("not a readable PNG file: {0}")]
    ReadPng(png::DecodingError),
    /// The image does not fit the format.
    #[error("cannot write a {format} file: {problem}")]
    Write {
        /// The format.
        format: ImageFormat,
        /// What the encoder says.
        problem: String,
    },
    /// The bytes are no file of the format that they begin as.
    #[error("not a readable {format} file: {problem}")]
    Read {
        /// The format.
        format: ImageFormat,
        /// What the decoder says.
        problem: String,
    },
    /// The bytes are of no format that is known.
    #[error("expected a PNG, JPEG or WebP file, found something else")]
    UnknownFormat,
    /// More text than a JPEG file holds.
    #[error(
        "a JPEG file holds at most {limit} bytes about how its image was made, found {found}; write PNG or WebP, or \
         leave that out"
    )]
    TooMuchText {
        /// The most bytes.
        limit: usize,
        /// Bytes to be written.
        found: usize,
    },
}

impl From<png::EncodingError> for ImageError {
    fn from(error: png::EncodingError) -> Self {
        Self::WritePng(error)
    }
}

impl From<png::DecodingError> for ImageError {
    fn from(error: png::DecodingError) -> Self {
        Self::ReadPng(error)
    }
}
