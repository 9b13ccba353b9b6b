//! Captioned image folders and latent caches: what training reads.
//!
//! - [`Source`]: any layout of data set that is read, as [`Record`]s and the bytes of their pictures.
//! - [`decode`], [`square`]: from those bytes to an RGB square.
//! - [`ImageFolder`]: the listing of a folder with `metadata.jsonl`.
//! - [`ImageSet`]: decoded RGB pixels of a listing in memory, for autoencoder training.
//! - [`LatentCache`]: encoded images and tokenised captions in one file, for transformer training.
//! - [`CelebaAttributes`]: which of CelebA's forty attributes a face has.
//! - [`Fingerprint`]: the content hash that tells a stale cache from a current one.

mod attributes;
mod decode;
mod error;
mod fingerprint;
mod folder;
mod image_set;
mod latent_cache;
mod limits;
mod problem;
mod source;
mod square;

pub use attributes::{CELEBA_ATTRIBUTES, CelebaAttributes};
pub use decode::decode;
pub use error::DataError;
pub use fingerprint::Fingerprint;
pub use folder::{CaptionedImage, ImageFolder};
pub use image_set::{ImageSet, decode_rgb};
pub use latent_cache::{LatentCache, LatentShape};
pub use limits::Limits;
pub use problem::{Problem, ProblemKind};
pub use source::{Layout, Record, Source};
pub use square::{Filter, square};
