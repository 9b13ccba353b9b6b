//! The report of a model at every step count.

mod images;
mod markdown;
mod page;
mod table;

use std::path::Path;

use stride_files::write_whole;

use crate::EvalError;
use crate::evaluator::{EvaluationReport, SplitResult};

pub use images::EvaluationImages;
pub use markdown::tables;

/// Writes `report.html`, which needs no other file, `report.md` with `steps.jpg`, and `report.json`.
///
/// # Errors
/// A file cannot be written.
pub fn write(
    report: &EvaluationReport,
    images: &EvaluationImages,
    dir: &Path,
) -> Result<(), EvalError> {
    let json = serde_json::to_vec_pretty(report).expect("a report has only string keys");
    for (name, bytes) in [
        ("report.html", page::html(report, images).into_bytes()),
        ("report.md", markdown::with_images(report, images).into_bytes()),
        ("steps.jpg", super::images::sheet(&images.samples.rows)?),
        ("report.json", json),
    ] {
        write_whole(&dir.join(name), &bytes)?;
    }
    Ok(())
}

/// One sentence on what was done.
fn summary(report: &EvaluationReport) -> String {
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
fn clip_frame(report: &EvaluationReport, split: &SplitResult) -> Option<String> {
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
fn heading(split: &SplitResult) -> &'static str {
    match split.label.as_str() {
        "heldout" => "Combinations that training never saw",
        _ => "Quality by number of steps",
    }
}
