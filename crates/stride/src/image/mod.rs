//! Images as plain values, resized as Pillow does it, and as files that say how they were made.

mod animation;
mod error;
mod exif;
mod file;
mod metadata;
mod png_file;
mod resize;
mod rgb;

pub use animation::animated_webp;
pub use error::ImageError;
pub use file::{image_bytes, read_image_file};
pub use metadata::{ImageFile, ImageFormat, ImageMetadata};
pub use png_file::png_bytes;
pub use resize::{Filter, Tap, resize};
pub use rgb::{RgbImage, signed_unit};
