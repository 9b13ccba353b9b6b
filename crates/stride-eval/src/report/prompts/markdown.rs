//! The report as Markdown.

use std::fmt::Write as _;

use super::images::{PromptImages, SHOWN};
use super::wording::{COLUMNS, INTERVALS, attributes, row, seen, shown, summary};
use crate::evaluator::{PromptFailure, PromptMiss, PromptReport};
use crate::report::markdown::table;
use crate::report::text::in_steps;

/// Tables in Markdown, with the provenance of every row.
pub fn tables(report: &PromptReport) -> String {
    let mut text = format!("# {} on prompts\n\n{}\n", report.model, summary(report));
    let _ = write!(text, "\n## What was asked for, by number of steps\n\n{INTERVALS}\n\n");
    text += &table(&COLUMNS, report.rows.iter().map(|scores| row(scores).to_vec()));
    text += "\n## Attributes by number of steps\n\nThe percentage of the images that show it, of those whose prompt asks \
             for it.\n\n";
    text += &attributes(report).markdown();
    if !report.failures.is_empty() {
        let _ = write!(
            text,
            "\n## Prompts that miss most\n\n{} of {} miss something at {}; the worst:\n\n",
            report.failures.len(),
            report.count,
            in_steps(report.failure_steps)
        );
        let columns = ["line", "prompt", "shown", "asked for, and seen instead"];
        let cells = |failure: &PromptFailure| {
            let miss = |miss: &PromptMiss| {
                let PromptMiss { attribute, wanted, .. } = miss;
                format!(
                    "{}: {wanted}, seen {}",
                    attribute.replace('_', " "),
                    seen(miss, report.seeds)
                )
            };
            let misses: Vec<String> = failure.misses.iter().map(miss).collect();
            let line = failure.line.to_string();
            vec![line, failure.text.clone(), shown(failure), misses.join("; ")]
        };
        text += &table(&columns, report.failures.iter().take(SHOWN).map(cells));
    }
    text += "\n## Provenance\n\n";
    for scores in &report.rows {
        let _ = writeln!(text, "* {}", scores.provenance);
    }
    text
}

/// The tables with the contact sheet.
pub(super) fn with_images(report: &PromptReport, images: &PromptImages) -> String {
    let steps: Vec<String> = report.rows.iter().map(|row| row.steps.to_string()).collect();
    let mut text = tables(report);
    let _ = write!(
        text,
        "\n## The same noise at {} steps\n\n![A row for each prompt, a column for each step count](steps.jpg)\n\n",
        steps.join(", ")
    );
    for (number, prompt) in images.prompts.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", number + 1, prompt.replace(['\n', '\r'], " "));
    }
    text
}
