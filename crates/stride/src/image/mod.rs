//! Images as plain values, resized as Pillow does it, and as PNG files that say how they were made.

mod png_file;
mod resize;
mod rgb;

pub use png_file::{
    ImageError, PngMetadata, png_bytes, read_png_metadata, read_png_metadata_and_others,
};
pub use resize::{Filter, Tap, resize};
pub use rgb::{RgbImage, signed_unit};
