//! What an evaluation of prompts found.
//!
//! Serialised, a [`PromptReport`] is `report.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Share;
use crate::attribute_accuracy::AttributeAccuracy;
use crate::provenance::Judgement;

/// What a model made of prompts at every step count.
#[derive(Clone, Debug, Serialize)]
pub struct PromptReport {
    /// Version of the program.
    pub version: String,
    /// Name of the model.
    pub model: String,
    /// The start of the SHA-256 of its weights.
    pub model_hash: String,
    /// Name of the file of prompts.
    pub prompts: String,
    /// Fingerprint of the file.
    pub fingerprint: String,
    /// Number of prompts.
    pub count: usize,
    /// Images of each prompt, for each step count.
    pub seeds: usize,
    /// Seed of the first image; those of a prompt follow each other.
    pub seed: u64,
    /// Guidance scale.
    pub cfg_scale: f64,
    /// Name of the classifier that judged.
    pub classifier: String,
    /// One for each step count.
    pub rows: Vec<PromptScores>,
    /// The step count of the failures.
    pub failure_steps: usize,
    /// Prompts that an image of misses something of, the worst first.
    pub failures: Vec<PromptFailure>,
}

/// What the images show at one step count.
#[derive(Clone, Debug, Serialize)]
pub struct PromptScores {
    /// Steps from noise to image.
    pub steps: usize,
    /// Attributes that are shown, of those that were asked for.
    pub attributes_shown: Share,
    /// Images that show all that was asked for, of all images.
    pub images_right: Share,
    /// The counts of every attribute.
    pub attributes: AttributeAccuracy,
    /// What the numbers depend on.
    #[serde(rename = "certificate")]
    pub provenance: Judgement,
}

/// A prompt that an image misses something of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptFailure {
    /// Line of the file.
    pub line: usize,
    /// The prompt.
    pub text: String,
    /// Attributes that its images show.
    pub shown: usize,
    /// Attributes that it asked them for.
    pub asked: usize,
    /// Place of the image that misses most among all images; its seed is this much above the first.
    pub worst_image: usize,
    /// What was asked for in vain.
    pub misses: Vec<PromptMiss>,
}

/// An attribute that images of a prompt miss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptMiss {
    /// The attribute.
    pub attribute: String,
    /// What was asked for.
    pub wanted: String,
    /// What is seen instead, and in how many images.
    pub seen: BTreeMap<String, usize>,
}
