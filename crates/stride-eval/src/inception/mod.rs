//! Inception-v3 as a feature network.

mod conv;
mod layout;
mod model;
mod nsfwjs;

pub use model::{Inception, InceptionOutput, Variant};
pub use nsfwjs::convert_nsfwjs;
