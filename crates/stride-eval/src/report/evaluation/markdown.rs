//! The report as Markdown.

use std::fmt::Write as _;

use super::images::EvaluationImages;
use super::table::{Column, Table, attribute_table};
use super::wording::{clip_frame, heading, summary};
use crate::evaluator::{EvaluationReport, SplitResult};
use crate::report::markdown::table;
use crate::report::text::significant;

/// Tables in Markdown, with the provenance of every row.
pub fn tables(report: &EvaluationReport) -> String {
    let mut text = format!("# {} at every step count\n\n{}\n", report.model, summary(report));
    for split in &report.splits {
        let _ = write!(text, "\n## {}\n\nData: `{}`.", heading(split), split.folder);
        let _ = write!(
            text,
            " The row *autoencoder* is real images after the autoencoder: no model of its latents can do better. A real \
             image is at a distance of {} from its nearest neighbour, on average.\n\n",
            significant(split.nearest_of_real, 4)
        );
        if let Some(frame) = clip_frame(report, split) {
            let _ = write!(text, "{frame}\n\n");
        }
        if let Some(flag) = &split.floor.flag {
            let _ = write!(text, "Careful: {flag}.\n\n");
        }
        let scores = Table::of(report, split);
        let columns: Vec<String> = std::iter::once("steps".to_owned())
            .chain(scores.columns.iter().map(Column::title))
            .collect();
        let rows = scores.rows.into_iter().map(|row| {
            std::iter::once(row.name).chain(row.cells.into_iter().map(|cell| cell.text)).collect()
        });
        text += &table(&columns, rows);
    }
    for split in &report.splits {
        attributes(&mut text, split);
    }
    if !report.checkpoints.is_empty() {
        let rows = report.checkpoints.iter().map(|checkpoint| {
            vec![
                checkpoint.training_step.to_string(),
                checkpoint.scores.steps().unwrap_or(0).to_string(),
                significant(checkpoint.scores.distance, 4),
            ]
        });
        text += "\n## Over training\n\n";
        text += &table(&["training step", "steps", "distance"], rows);
    }
    text.push_str("\n## Provenance\n\n");
    for split in &report.splits {
        for scores in std::iter::once(&split.floor).chain(&split.rows) {
            let _ = writeln!(text, "* {}: {}", scores.distance_name, scores.provenance);
        }
    }
    text
}

/// How often every attribute is shown at every step count.
fn attributes(text: &mut String, split: &SplitResult) {
    let Some(table) = attribute_table(split) else { return };
    let _ = write!(
        text,
        "\n## Attributes by number of steps ({})\n\nThe percentage of the attributes named by captions that the images \
         show.\n\n",
        split.label
    );
    *text += &table.markdown();
}

/// The tables with the sheet of images.
pub(super) fn with_images(report: &EvaluationReport, images: &EvaluationImages) -> String {
    let steps: Vec<String> = images.samples.steps.iter().map(usize::to_string).collect();
    let mut text = tables(report);
    let _ = write!(
        text,
        "\n## The same noise at {} steps\n\n![A row for each caption, a column for each step count](steps.jpg)\n\n",
        steps.join(", ")
    );
    for (number, prompt) in images.samples.prompts.iter().enumerate() {
        let _ = writeln!(text, "{}. {prompt}", number + 1);
    }
    text
}
