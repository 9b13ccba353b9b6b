//! Captioned cartoon avatars, true by construction.
//!
//! [`Attributes::sample`] decides what an image shows, [`render`] draws it and
//! [`captions`] words it, both from the same values. Everything depends on a seed and the
//! index of the image only. [`write_dataset`] makes a folder of images with captions.
//!
//! ```
//! use stride_avatars::{Attributes, Split, captions, render};
//!
//! let attributes = Attributes::sample(0, 7, Split::Train);
//! let image = render(&attributes, 64)?;
//! assert_eq!(image.rgb.len(), 3 * 64 * 64);
//! let captions = captions(&attributes, 0, 7, 8);
//! assert_eq!(captions.len(), 8);
//! # Ok::<(), stride_avatars::Error>(())
//! ```

mod art;
pub mod attributes;
mod caption;
mod clause;
mod dataset;
mod draw;
mod error;
mod image;
mod listing;
mod named;
pub mod palette;
mod prompts;
mod raster;
mod sample;
mod split;

pub use art::{Credit, Meta};
pub use attributes::{Attributes, Gender, Style};
pub use dataset::{DatasetRequest, DatasetSummary, write_dataset};
pub use error::Error;
pub use image::{MAX_RESOLUTION, render, style_meta};
pub use listing::{CAPTIONS_PER_IMAGE, CaptionKind, captions};
pub use prompts::PEOPLES_PROMPTS;
pub use raster::Image;
pub use sample::Distribution;
pub use split::{HeldOutPair, Split};
