//! Training of attribute classifiers.

use serde::{Deserialize, Serialize};

use crate::error::check_size;
use crate::memory::MAX_BATCH;

mod augment;
mod trainer;

pub(crate) use trainer::ClassifierTrainer;

/// Settings of classifier training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierTrainConfig {
    /// Images in a batch.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
}

fn default_batch_size() -> usize {
    32
}

impl ClassifierTrainConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        check_size("classifier.batch_size", self.batch_size, MAX_BATCH)
    }
}
