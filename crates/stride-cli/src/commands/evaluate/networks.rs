//! The feature networks of a job.

use stride_eval::AttributeClassifier;
use stride_eval::evaluator::{ClipScorer, FeatureNetworks};
use stride_eval::inception::Inception;

use super::job::Job;

/// Loads the networks of a job.
pub(super) fn load(job: &Job) -> anyhow::Result<FeatureNetworks> {
    let device = job.compute.device()?;
    let clip = job.clip.as_deref().map(|dir| ClipScorer::load(dir, &device)).transpose()?;
    let classifier = AttributeClassifier::load(job.classifier.as_deref(), &device);
    let Some(path) = &job.inception else {
        return Ok(FeatureNetworks::of_classifier(classifier?).with_clip(clip));
    };
    let inception = Inception::open(path, job.variant.variant(), &device)?;
    let classifier = match (&job.data, &job.classifier) {
        // Images without captions cannot miss what these name.
        (None, _) => None,
        (Some(_), Some(_)) => Some(classifier?),
        (Some(_), None) => classifier.ok(),
    };
    Ok(FeatureNetworks::new(Box::new(inception), classifier).with_clip(clip))
}
