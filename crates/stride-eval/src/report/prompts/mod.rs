//! The report of what a model makes of prompts.

mod images;
mod markdown;
mod page;
mod wording;

use std::path::Path;

use stride_files::write_whole;

use crate::EvalError;
use crate::evaluator::PromptReport;

pub use images::PromptImages;
pub use markdown::tables;

/// Writes `report.html`, which needs no other file, `report.md` with `steps.jpg`, and `report.json`.
///
/// # Errors
/// A file cannot be written.
pub fn write(report: &PromptReport, images: &PromptImages, dir: &Path) -> Result<(), EvalError> {
    let json = serde_json::to_vec_pretty(report).expect("a report has only string keys");
    for (name, bytes) in [
        ("report.html", page::html(report, images).into_bytes()),
        ("report.md", markdown::with_images(report, images).into_bytes()),
        ("steps.jpg", super::images::sheet(&images.rows)?),
        ("report.json", json),
    ] {
        write_whole(&dir.join(name), &bytes)?;
    }
    Ok(())
}
