//! Sentences that the page and the Markdown share.

use crate::evaluator::{EvaluationReport, SplitResult};

/// One sentence on what was done.
pub(super) fn summary(report: &EvaluationReport) -> String {
    format!(
        "{} images for each step count, generated from the same noise (seeds from {}) with guidance {} by the model {} \
         ({}), compared with as many real ones; features: {}.",
        report.samples,
        report.seed,
        report.cfg_scale,
        report.model,
        report.model_hash,
        report.features
    )
}

/// What the CLIP scores of a split compare with.
pub(super) fn clip_frame(report: &EvaluationReport, split: &SplitResult) -> Option<String> {
    let (real, sha256) = (split.real_clip?, report.clip_sha256.as_ref()?);
    let digits = sha256.get(..10).unwrap_or(sha256);
    let nearest = real.r_precision.map_or_else(String::new, |fraction| {
        format!(", and {:.1} % of them are nearest to their own of 100 captions", 1e2 * fraction)
    });
    Some(format!(
        "CLIP (weights {digits}) scores real images {:.2} with their own captions and {:.2} with the next image's{nearest}.",
        real.own, real.shuffled
    ))
}

/// The heading of a split.
pub(super) fn heading(split: &SplitResult) -> &'static str {
    match split.label.as_str() {
        "heldout" => "Combinations that training never saw",
        _ => "Quality by number of steps",
    }
}
