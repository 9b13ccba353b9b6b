//! Sentences, tables and numbers that the page and the Markdown share.

use crate::evaluator::{PromptFailure, PromptMiss, PromptReport, PromptScores, Share};
use crate::report::attributes::AttributeTable;

/// Columns of the table of step counts.
pub(super) const COLUMNS: [&str; 5] =
    ["steps", "attributes shown ↑", "95% interval", "images with all of them ↑", "95% interval"];

/// One sentence on what was done.
pub(super) fn summary(report: &PromptReport) -> String {
    format!(
        "{} prompts of {}, drawn with {} each at every step count from the same noise (seeds from {}), with guidance \
         {} by the model {} ({}), and judged by the {}.",
        report.count,
        report.prompts,
        if report.seeds == 1 { "one seed".to_owned() } else { format!("{} seeds", report.seeds) },
        report.seed,
        report.cfg_scale,
        report.model,
        report.model_hash,
        report.classifier
    )
}

/// What the intervals say.
pub(super) const INTERVALS: &str = "An image is right if it shows all that its prompt asks for. Intervals: bootstrap over prompts, each \
     with all of its images.";

/// The cells of a step count under [`COLUMNS`].
pub(super) fn row(scores: &PromptScores) -> [String; 5] {
    let [shown, right] = [&scores.attributes_shown, &scores.images_right];
    let steps = scores.steps.to_string();
    [steps, fraction(shown), interval(shown), fraction(right), interval(right)]
}

/// The counts of every attribute.
pub(super) fn attributes(report: &PromptReport) -> AttributeTable<'_> {
    let rows = report.rows.iter().map(|scores| (scores.steps, &scores.attributes));
    AttributeTable { counted: "asked", real: None, rows: rows.collect() }
}

/// A share in percent.
pub(super) fn percent(share: &Share) -> String {
    format!("{:.1} %", 1e2 * share.fraction)
}

/// How much of what a prompt asks for its images show.
pub(super) fn shown(failure: &PromptFailure) -> String {
    format!("{} of {}", failure.shown, failure.asked)
}

/// What images show instead of an attribute, and how many of them.
pub(super) fn seen(miss: &PromptMiss, seeds: usize) -> String {
    let count = |(value, &count): (&String, &usize)| match seeds {
        1 => value.clone(),
        _ => format!("{value} ({count})"),
    };
    miss.seen.iter().map(count).collect::<Vec<_>>().join(", ")
}

fn fraction(share: &Share) -> String {
    format!("{} ({} of {})", percent(share), share.right, share.of)
}

fn interval(share: &Share) -> String {
    share
        .interval_95
        .map_or_else(String::new, |[low, high]| format!("{:.1}–{:.1} %", 1e2 * low, 1e2 * high))
}
