//! What a comparison found.

use serde::Serialize;
use serde_json::Value;

use crate::comparison::{Quality, StepResult};
use crate::report::chart::Points;

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonReport {
    /// Version of the program.
    pub version: String,
    /// Passes of the network that every run spent.
    pub passes: u64,
    /// Images for each step count.
    pub samples: usize,
    /// Network and weights that made the features.
    pub features: String,
    /// The quality of real images.
    #[serde(rename = "real_pictures")]
    pub real_images: Quality,
    /// The objective to whose cost the others' are related.
    pub base: String,
    /// The runs, those of an objective in the order of their seeds.
    pub runs: Vec<ComparedRun>,
}

/// A training run with its results.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedRun {
    /// Its name.
    pub name: String,
    /// Name of its objective.
    pub objective: String,
    /// Settings of its objective.
    pub settings: Value,
    /// Seed of the training.
    pub seed: u64,
    /// Steps of the training.
    pub steps: u64,
    /// Rows of all batches.
    pub rows: u64,
    /// Passes of the network that a row takes.
    pub passes_per_row: f64,
    /// Milliseconds of training per row: the median over the run.
    pub milliseconds_per_row: Option<f64>,
    /// The loss by step of training.
    #[serde(skip)]
    pub loss: Points,
    /// Quality by step count.
    pub results: Vec<StepResult>,
}
