//! A network that predicts the attributes of an image, by which image generators are evaluated.

mod config;
mod model;

pub use config::{Attribute, AttributeClassifierConfig, ClassifierConfigError};
pub use model::{Answers, AttributeClassifier};
