//! Pictures as plain values, and as PNG files that say how they were made.

mod png_file;
mod rgb;

pub use png_file::{ImageError, PngMetadata, png_bytes, read_png_metadata};
pub use rgb::RgbImage;
