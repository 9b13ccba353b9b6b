//! The report as Markdown.

use std::fmt::Write as _;

use stride_eval::attribute_accuracy::Tally;

use super::super::gallery::Gallery;
use super::super::study::Study;
use super::table::Table;
use super::{Report, clip_frame, heading};
use crate::page::figure;

/// Tables and certificates.
pub(super) fn tables(report: &Report) -> String {
    let mut text = format!("# {} at every step count\n\n{}\n", report.model, report.summary());
    for study in &report.studies {
        let _ = write!(text, "\n## {}\n\nData: `{}`.", heading(study), study.folder);
        let _ = write!(
            text,
            " The row *autoencoder* is real images after the autoencoder: no model of its latents comes nearer. Real \
             images are {} from the nearest other one.\n\n",
            figure(study.nearest_of_real, 4)
        );
        if let Some(frame) = clip_frame(report, study) {
            let _ = write!(text, "{frame}\n\n");
        }
        if let Some(flag) = &study.floor.flag {
            let _ = write!(text, "Careful: {flag}.\n\n");
        }
        let table = Table::of(report, study);
        let names = table.columns.iter().map(|column| format!("{} {}", column.name, column.arrow));
        let names: Vec<String> = names.map(|name| name.trim_end().to_owned()).collect();
        let _ = writeln!(
            text,
            "| steps | {} |\n|---{}|",
            names.join(" | "),
            "|---".repeat(names.len())
        );
        for row in table.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }
    for study in &report.studies {
        attributes(&mut text, study);
    }
    if !report.checkpoints.is_empty() {
        text.push_str(
            "\n## Over training\n\n| training step | steps | distance |\n|---|---|---|\n",
        );
        for checkpoint in &report.checkpoints {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                checkpoint.training_step,
                checkpoint.scores.steps().unwrap_or(0),
                figure(checkpoint.scores.distance, 4)
            );
        }
    }
    text.push_str("\n## Certificates\n\n");
    for study in &report.studies {
        for scores in std::iter::once(&study.floor).chain(&study.rows) {
            let _ = writeln!(text, "* {}: {}", scores.distance_name, scores.certificate);
        }
    }
    text
}

/// The share of every attribute at every step count.
fn attributes(text: &mut String, study: &Study) {
    let Some(real) = &study.real_attributes else { return };
    let rows =
        || study.rows.iter().filter_map(|row| Some((row.steps()?, row.attributes.as_ref()?)));
    let steps: Vec<String> = rows().map(|(steps, _)| steps.to_string()).collect();
    let _ = write!(
        text,
        "\n## Attributes by number of steps ({})\n\nThe share, in percent, of what captions name that images show.\n\n\
         | attribute | named | real | {} |\n|---|---|---{}|\n",
        study.label,
        steps.join(" | "),
        "|---".repeat(steps.len())
    );
    let percent = |tally: Option<Tally>| {
        let share = tally.and_then(|tally| tally.share());
        share.map_or_else(String::new, |(share, _)| format!("{:.1}", 1e2 * share))
    };
    for (name, tally) in real.by_attribute() {
        let cells: Vec<String> = rows()
            .map(|(_, found)| {
                percent(
                    found.by_attribute().find(|(other, _)| *other == name).map(|(_, tally)| tally),
                )
            })
            .collect();
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            tally.named,
            percent(Some(tally)),
            cells.join(" | ")
        );
    }
}

/// The tables with the sheet of images.
pub(super) fn with_images(report: &Report, gallery: &Gallery) -> String {
    let steps: Vec<String> = report.studies[0]
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
