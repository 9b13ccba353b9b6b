//! Captioned image folders and prepared folders: what training reads.
//!
//! - [`ImageFolder`]: the listing of a folder with `metadata.jsonl`.
//! - [`ImageSet`]: decoded RGB pixels of a listing in memory, for autoencoder training.
//! - [`Preparation`], [`PreparedSet`]: encoded images and tokenised captions in a folder, for transformer training.
//! - [`CelebaAttributes`]: which of CelebA's forty attributes a face has.
//! - [`Fingerprint`]: the content hash that tells a stale cache from a current one.

mod attributes;
mod content_hash;
mod error;
mod fingerprint;
mod folder;
mod image_set;
mod prepared;
mod source;

pub use attributes::{CELEBA_ATTRIBUTES, CelebaAttributes};
pub use content_hash::ContentHash;
pub use error::DataError;
pub use fingerprint::Fingerprint;
pub use folder::{CaptionedImage, ImageFolder};
pub use image_set::{ImageSet, decode_rgb};
pub use prepared::{
    LatentEncoder, LatentShape, Part, Preparation, PrepareProgress, PrepareSummary, PreparedHeader,
    PreparedPicture, PreparedSet, View, merge_prepared,
};
pub use source::{Filter, Limits, Problem, ProblemKind, Record, Source, decode, square};
