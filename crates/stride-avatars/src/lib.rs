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
//!
//! # For testing and for training
//!
//! Models are tested with [`Distribution::Natural`] and [`CaptionKind::Mixed`], the defaults, which stay as they
//! are. For training there are [`Distribution::Flat`], where rare values are common, and [`CaptionKind::People`],
//! where most captions tell everything and half of them are typed as people type prompts. The images depend on seed,
//! split, distribution and resolution alone: a second folder with [`CaptionKind::Short`] and everything else alike
//! shows the same images with short captions, for the end of a training, and needs no new latents. [`PEOPLES_PROMPTS`]
//! test a trained model and are in no caption for training.
//!
//! # What no caption tells
//!
//! * Which of several drawings stands for a value ([`Attributes::drawing`]): two of short, cropped, long straight and
//!   shoulder-length hair and of the bob, two moustaches, glasses, winter hats and closed eyes each, three sunglasses.
//! * Eyebrows, which follow the expression; open eyes; the color of glasses and of flowers, which are always the same;
//!   the shirt under a jacket; hair under a hat.
//! * Drawings of Avataaars that are never used: the eye patch; blazer with sweater, graphic shirts, the scoop neck;
//!   crying, rolling, squinting and crossed eyes, hearts, the silly wink; the mouths concerned, default, disbelief,
//!   eating, tongue and vomit; big hair, the second dreadlocks, afro with band, the shaggy ones, shaved sides and
//!   bald top. Of Toon Head: the beard of the chin alone and neutral eyebrows.

mod art;
pub mod attributes;
mod caption;
mod clause;
mod dataset;
mod draw;
mod error;
mod image;
mod lexicon;
mod listing;
mod mask;
mod named;
pub mod palette;
mod prompts;
mod raster;
mod sample;
mod split;
mod typed;

pub use art::{Credit, Meta};
pub use attributes::{Attributes, Gender, Style};
pub use dataset::{DatasetRequest, DatasetSummary, write_dataset, write_masks};
pub use error::{Error, MAX_RESOLUTION};
pub use image::{render, style_meta};
pub use listing::{CAPTIONS_PER_IMAGE, CaptionKind, captions};
pub use mask::small_parts_mask;
pub use prompts::PEOPLES_PROMPTS;
pub use raster::Image;
pub use sample::Distribution;
pub use split::{HeldOutPair, Split};
