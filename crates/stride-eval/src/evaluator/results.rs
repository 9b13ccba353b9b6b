//! What an evaluation found.
//!
//! Serialised, an [`EvaluationReport`] is `report.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ClipScore, Failure, Scores};
use crate::attribute_accuracy::AttributeAccuracy;

/// The results of a model at every step count.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReport {
    /// Version of the program.
    pub version: String,
    /// Name of the model.
    pub model: String,
    /// The start of the SHA-256 of its weights.
    pub model_hash: String,
    /// Images for each step count.
    pub samples: usize,
    /// Seed of the first image.
    pub seed: u64,
    /// Guidance scale.
    pub cfg_scale: f64,
    /// Network and weights that made the features.
    pub features: String,
    /// SHA-256 of CLIP's files; absent without CLIP.
    pub clip_sha256: Option<String>,
    /// Results on the data and, where there is one, on the held-out split.
    #[serde(rename = "studies")]
    pub splits: Vec<SplitResult>,
    /// How much images of one caption differ.
    pub diversity: Option<Diversity>,
    /// Results of the checkpoints of a training run.
    pub checkpoints: Vec<CheckpointResult>,
    /// Smoothed loss curves of the training run by name: (step, value).
    pub losses: BTreeMap<String, Vec<(f64, f64)>>,
}

/// The results of a model on one data folder.
#[derive(Clone, Debug, Serialize)]
pub struct SplitResult {
    /// `data` or `heldout`.
    pub label: String,
    /// Name of the folder.
    pub folder: String,
    /// Fingerprint of its listing.
    pub fingerprint: String,
    /// Mean distance of real images to the nearest other one.
    pub nearest_of_real: f64,
    /// Attribute accuracy of the real images: the most that generated ones can reach.
    pub real_attributes: Option<AttributeAccuracy>,
    /// CLIP score of the real images with their captions.
    pub real_clip: Option<ClipScore>,
    /// Generated images that miss the most attributes of their captions.
    pub failures: Vec<Failure>,
    /// Real images after the autoencoder: a floor for every model of its latents.
    pub floor: Scores,
    /// One for each step count.
    pub rows: Vec<Scores>,
}

/// How much images of one caption differ.
#[derive(Clone, Debug, Serialize)]
pub struct Diversity {
    /// The caption.
    pub caption: String,
    /// Mean distance between real images of different captions.
    pub real: f64,
    /// Steps, and the mean distance between images of the caption.
    pub by_steps: Vec<(usize, f64)>,
}

/// A checkpoint at one step count.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointResult {
    /// Steps of training.
    pub training_step: u64,
    /// Its scores.
    pub scores: Scores,
}
