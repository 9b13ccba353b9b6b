//! Attribute accuracy over a folder's captions, and the images that miss most.

use serde::Serialize;
use stride_data::ImageFolder;

use crate::AttributeClassifier;
use crate::attribute_accuracy::{AttributeAccuracy, Miss};

/// Failures that a report shows.
const SHOWN: usize = 9;

/// A generated image that misses attributes of its caption.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Place of the caption in its folder; the image's seed is this much above the first.
    pub index: usize,
    /// Steps from noise to image.
    pub steps: usize,
    /// The caption.
    pub caption: String,
    /// The attributes it misses.
    pub misses: Vec<Miss>,
}

/// Attribute accuracy of predicted labels against the first caption of each image, and the worst failures first.
pub(crate) fn count_attributes(
    classifier: &AttributeClassifier,
    folder: &ImageFolder,
    labels: &[Vec<usize>],
) -> (AttributeAccuracy, Vec<Failure>) {
    let attributes = &classifier.config().attributes;
    let mut accuracy = AttributeAccuracy::default();
    let mut failures = Vec::new();
    for (index, (image, labels)) in folder.images.iter().zip(labels).enumerate() {
        let caption = &image.captions[0];
        let misses = accuracy.add(caption, &image.attributes, attributes, labels);
        if !misses.is_empty() {
            failures.push(Failure { index, steps: 0, caption: caption.clone(), misses });
        }
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.misses.len()));
    failures.truncate(SHOWN);
    (accuracy, failures)
}
