//! The report as Markdown.

use std::fmt::Write as _;

use stride_eval::attribute_accuracy::{AttributeAccuracy, Tally};
use stride_eval::evaluator::{EvaluationReport, SplitResult};
use stride_eval::report::markdown::table;
use stride_eval::report::text::significant;

use super::super::gallery::Gallery;
use super::table::{Column, Table};
use super::{clip_frame, heading, summary};

/// Tables and certificates.
pub(super) fn tables(report: &EvaluationReport) -> String {
    let mut text = format!("# {} at every step count\n\n{}\n", report.model, summary(report));
    for study in &report.splits {
        let _ = write!(text, "\n## {}\n\nData: `{}`.", heading(study), study.folder);
        let _ = write!(
            text,
            " The row *autoencoder* is real images after the autoencoder: no model of its latents can do better. A real \
             image is at a distance of {} from its nearest neighbour, on average.\n\n",
            significant(study.nearest_of_real, 4)
        );
        if let Some(frame) = clip_frame(report, study) {
            let _ = write!(text, "{frame}\n\n");
        }
        if let Some(flag) = &study.floor.flag {
            let _ = write!(text, "Careful: {flag}.\n\n");
        }
        let scores = Table::of(report, study);
        let columns: Vec<String> = std::iter::once("steps".to_owned())
            .chain(scores.columns.iter().map(Column::title))
            .collect();
        let rows = scores.rows.into_iter().map(|row| {
            std::iter::once(row.name).chain(row.cells.into_iter().map(|cell| cell.text)).collect()
        });
        text += &table(&columns, rows);
    }
    for study in &report.splits {
        attributes(&mut text, study);
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
    text.push_str("\n## Certificates\n\n");
    for study in &report.splits {
        for scores in std::iter::once(&study.floor).chain(&study.rows) {
            let _ = writeln!(text, "* {}: {}", scores.distance_name, scores.provenance);
        }
    }
    text
}

/// How often every attribute is shown at every step count.
fn attributes(text: &mut String, study: &SplitResult) {
    let Some(real) = &study.real_attributes else { return };
    let rows =
        || study.rows.iter().filter_map(|row| Some((row.steps()?, row.attributes.as_ref()?)));
    let columns: Vec<String> = ["attribute", "named", "real"]
        .into_iter()
        .map(str::to_owned)
        .chain(rows().map(|(steps, _)| steps.to_string()))
        .collect();
    let percent = |tally: Option<Tally>| {
        let fraction = tally.and_then(|tally| tally.fraction());
        fraction.map_or_else(String::new, |(fraction, _)| format!("{:.1}", 1e2 * fraction))
    };
    let row = |(name, tally): (&str, Tally)| {
        let at = |(_, found): (usize, &AttributeAccuracy)| {
            percent(found.by_attribute().find(|(other, _)| *other == name).map(|(_, tally)| tally))
        };
        [name.to_owned(), tally.named.to_string(), percent(Some(tally))]
            .into_iter()
            .chain(rows().map(at))
            .collect()
    };
    let _ = write!(
        text,
        "\n## Attributes by number of steps ({})\n\nThe percentage of the attributes named by captions that the images \
         show.\n\n",
        study.label
    );
    *text += &table(&columns, real.by_attribute().map(row));
}

/// The tables with the sheet of images.
pub(super) fn with_images(report: &EvaluationReport, gallery: &Gallery) -> String {
    let steps: Vec<String> = report.splits[0]
        .rows
        .iter()
        .filter_map(|scores| scores.steps().map(|steps| steps.to_string()))
        .collect();
    let mut text = tables(report);
    let _ = write!(
        text,
        "\n## The same noise at {} steps\n\n![A row for each caption, a column for each step count](steps.jpg)\n\n",
        steps.join(", ")
    );
    for (number, prompt) in gallery.prompts.iter().enumerate() {
        let _ = writeln!(text, "{}. {prompt}", number + 1);
    }
    text
}
