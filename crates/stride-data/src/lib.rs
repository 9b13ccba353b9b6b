//! Captioned image folders and latent caches: what training reads.
//!
//! - [`ImageFolder`]: the listing of a folder with `metadata.jsonl`.
//! - [`ImageSet`]: decoded RGB pixels of a listing in memory, for autoencoder training.
//! - [`LatentCache`]: encoded images and tokenised captions in one file, for transformer training.
//! - [`CelebaAttributes`]: which of CelebA's forty attributes a face has.
//! - [`CaptionWriter`]: English captions from those attributes.
//! - [`ContactSheet`]: pictures with their captions, for a person to look at.
//! - [`DataReport`]: what a data set is made of and what is wrong with it.
//! - [`Fingerprint`]: the content hash that tells a stale cache from a current one.

mod attributes;
mod captions;
mod contact_sheet;
mod error;
mod fingerprint;
mod folder;
mod image_set;
mod latent_cache;
mod report;

pub use attributes::{CELEBA_ATTRIBUTES, CelebaAttributes};
pub use captions::CaptionWriter;
pub use contact_sheet::ContactSheet;
pub use error::DataError;
pub use fingerprint::Fingerprint;
pub use folder::{CaptionedImage, ImageFolder};
pub use image_set::{ImageSet, decode_rgb};
pub use latent_cache::{LatentCache, LatentShape};
pub use report::{DataReport, Examined};
