//! What captions name and images show, counted, and the images that show least of it.

use serde::Serialize;
use stride_data::ImageFolder;
use stride_eval::Judge;
use stride_eval::attribute_accuracy::{AttributeAccuracy, Miss};

/// Failures that a report shows.
const SHOWN: usize = 9;

/// A drawn image that shows something else than its caption names.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failure {
    /// Place of the caption in its folder, which is the image's seed after the first.
    pub(super) index: usize,
    pub(super) steps: usize,
    pub(super) caption: String,
    pub(super) misses: Vec<Miss>,
}

/// The counts over images of the first caption of each image, and the worst images first.
pub(super) fn count(
    judge: &Judge,
    folder: &ImageFolder,
    choices: &[Vec<usize>],
) -> (AttributeAccuracy, Vec<Failure>) {
    let mut accuracy = AttributeAccuracy::default();
    let mut failures = Vec::new();
    for (index, (image, choices)) in folder.images.iter().zip(choices).enumerate() {
        let caption = &image.captions[0];
        let attributes = &judge.config().attributes;
        let misses = accuracy.add(caption, &image.attributes, attributes, choices);
        if !misses.is_empty() {
            failures.push(Failure { index, steps: 0, caption: caption.clone(), misses });
        }
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.misses.len()));
    failures.truncate(SHOWN);
    (accuracy, failures)
}
