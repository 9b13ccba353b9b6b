//! Metrics of generated images, computed as the field's packages compute them.
//!
//! Images become features (`inception`, by a `protocol`), features become statistics, and two
//! sets of either are compared. Every number carries a `certificate` that says how it was made.

pub mod attribute_accuracy;
pub mod certificate;
pub mod diversity;
pub mod embedding_score;
pub mod error;
pub mod features;
pub mod frechet;
pub mod images;
pub mod inception;
pub mod inception_score;
pub mod judge;
pub mod kid;
pub mod memorisation;
pub mod network;
pub mod npz;
pub mod prdc;
pub mod protocol;
pub mod report;
pub mod resize;
pub mod statistics;

pub use error::EvalError;
pub use features::Features;
pub use judge::Judge;
