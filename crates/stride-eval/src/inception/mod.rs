//! Inception-v3 as a feature network.

mod conv;
mod layout;
mod model;
mod nsfwjs;
mod weights_file;

pub use model::{Inception, Variant};
pub use nsfwjs::convert_nsfwjs;
