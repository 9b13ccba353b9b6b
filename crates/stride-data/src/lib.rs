//! Data sets of captioned images and prepared folders: what training reads.
//!
//! - [`Source`]: any layout of data set that is read, as [`Record`]s and the bytes of their images.
//! - [`decode`], [`square`]: from those bytes to an RGB square.
//! - [`Preparation`], [`PreparedSet`]: encoded images and tokenised captions in a folder, for transformer training.
//! - [`ImageFolder`]: images of a source, in any number and order.
//! - [`ImageSet`]: their decoded RGB pixels in memory, for autoencoder training.
//! - [`CelebaAttributes`]: which of CelebA's forty attributes a face has.
//! - [`CaptionWriter`]: English captions from those attributes.
//! - [`ContactSheet`]: images with their captions, for a person to look at.
//! - [`DataReport`]: what a data set is made of and what is wrong with it.
//! - [`ContentHash`]: SHA-256, which names what latents were made from.

mod attributes;
mod captions;
mod contact_sheet;
mod decode;
mod error;
mod folder;
mod holdout;
mod image_set;
mod part;
mod prepared;
mod problem;
mod report;
mod sides;
mod source;
mod square;

pub use attributes::{CELEBA_ATTRIBUTES, CelebaAttributes};
pub use captions::CaptionWriter;
pub use contact_sheet::{ContactSheet, image_table};
pub use decode::{Limits, Pixels, decode, decode_as, is_composited_or_turned};
pub use error::DataError;
pub use folder::{CaptionedImage, ImageFolder};
pub use image_set::{ImageSet, decode_rgb};
pub use part::Part;
pub use prepared::{
    LatentEncoder, LatentShape, PREPARED_REPORT, Preparation, PrepareProgress, PrepareSummary,
    PreparedHeader, PreparedImage, PreparedSet, View, merge_prepared,
};
pub use problem::{Problem, ProblemKind};
pub use report::{DataReport, ScannedImage};
pub use sides::names_a_side;
pub use source::{CaptionSource, Layout, Record, Source, SourceOptions};
pub use square::{MAX_RESOLUTION, check_resolution, square};
pub use stride::image::Filter;
pub use stride_files::ContentHash;
