//! Metrics of generated images, computed as the field's packages compute them.
//!
//! Images become features (`inception`, by a `protocol`), features become statistics, and two
//! sets of either are compared. Every number carries its `provenance`. An `evaluator` does all of it for a model at
//! every step count.

pub mod attribute_accuracy;
pub mod attribute_classifier;
pub mod comparison;
pub mod diversity;
pub mod embedding_score;
pub mod error;
pub mod evaluator;
pub mod features;
pub mod frechet;
pub mod generator;
pub mod images;
pub mod inception;
pub mod inception_score;
pub mod kid;
pub mod memorisation;
pub mod network;
pub mod npz;
pub mod prdc;
pub mod prompts;
pub mod protocol;
pub mod provenance;
pub mod report;
pub mod resize;
pub mod statistics;

pub use attribute_classifier::AttributeClassifier;
pub use error::EvalError;
pub use features::Features;
