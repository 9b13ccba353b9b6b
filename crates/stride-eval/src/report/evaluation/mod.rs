//! The report of a model at every step count.

mod images;
mod markdown;
mod page;
mod table;
mod wording;

use std::path::Path;

use stride_files::write_whole;

use crate::EvalError;
use crate::evaluator::EvaluationReport;

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
