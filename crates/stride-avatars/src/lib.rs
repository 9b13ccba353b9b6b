//! Captioned cartoon avatars, true by construction.
//!
//! [`Attributes::sample`] decides what a picture shows, [`render`] draws it and
//! [`captions`] words it, both from the same values. Everything depends on a seed and the
//! index of the image only. [`write_dataset`] makes a folder of pictures with captions.

pub mod art;
pub mod attributes;
mod caption;
mod clause;
mod dataset;
mod draw;
mod error;
mod named;
pub mod palette;
mod picture;
mod raster;
mod sample;

pub use attributes::{Attributes, Gender, Style};
pub use caption::captions;
pub use dataset::{CAPTIONS_PER_IMAGE, DatasetRequest, DatasetSummary, write_dataset};
pub use error::Error;
pub use picture::{MAX_RESOLUTION, render, style_meta};
pub use raster::Picture;
pub use sample::{HeldOutPair, Split};
