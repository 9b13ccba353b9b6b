//! A network that tells the attributes of an image, to judge other networks by.

mod config;
mod model;

pub use config::{Attribute, AttributeClassifierConfig, ClassifierConfigError};
pub use model::{Answers, AttributeClassifier};
