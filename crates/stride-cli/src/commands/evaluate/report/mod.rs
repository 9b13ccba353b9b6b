//! What an evaluation found, as a page, as Markdown and as JSON.

mod markdown;
mod page;
mod table;

use std::io::Write as _;
use std::path::Path;

use stride_eval::evaluator::{EvaluationReport, SplitResult};

use super::gallery::Gallery;
use crate::output::write_whole;

/// Writes `report.html`, which needs no other file, `report.md` with `steps.jpg`, and `report.json`.
pub(super) fn write(
    report: &EvaluationReport,
    out: &Path,
    gallery: &Gallery,
) -> anyhow::Result<()> {
    for (name, bytes) in [
        ("report.html", page::html(report, gallery).into_bytes()),
        ("report.md", markdown::with_images(report, gallery).into_bytes()),
        ("steps.jpg", gallery.sheet.clone()),
        ("report.json", serde_json::to_vec_pretty(report)?),
    ] {
        write_whole(&out.join(name), &bytes)?;
    }
    Ok(())
}

/// The tables, or the JSON, on stdout.
pub(super) fn print(report: &EvaluationReport, is_json: bool) -> anyhow::Result<()> {
    let text = if is_json { serde_json::to_string(report)? } else { markdown::tables(report) };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
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

/// What frames the CLIP scores of a study.
fn clip_frame(report: &EvaluationReport, study: &SplitResult) -> Option<String> {
    let (real, sha256) = (study.real_clip?, report.clip_sha256.as_ref()?);
    let digits = sha256.get(..10).unwrap_or(sha256);
    let nearest = real.r_precision.map_or_else(String::new, |share| {
        format!(", and {:.1} % of them are nearest to their own of 100 captions", 1e2 * share)
    });
    Some(format!(
        "CLIP (weights {digits}) scores real images {:.2} with their own captions and {:.2} with the next image's{nearest}.",
        real.own, real.shuffled
    ))
}

/// The heading of a study.
fn heading(study: &SplitResult) -> &'static str {
    match study.label.as_str() {
        "heldout" => "Combinations that training never saw",
        _ => "Quality by number of steps",
    }
}
