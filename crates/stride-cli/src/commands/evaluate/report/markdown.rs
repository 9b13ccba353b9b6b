//! The report as Markdown.

use std::fmt::Write as _;

use super::super::gallery::Gallery;
use super::table::Table;
use super::{Report, heading};

/// Tables and certificates.
pub(super) fn tables(report: &Report) -> String {
    let mut text = format!("# {} at every step count\n\n{}\n", report.model, report.summary());
    for study in &report.studies {
        let _ = write!(text, "\n## {}\n\nData: `{}`.", heading(study), study.folder);
        let _ = write!(
            text,
            " The row *autoencoder* is real pictures after the autoencoder: no model of its latents comes nearer. Real \
             pictures are {:.3} from the nearest other one.\n\n",
            study.nearest_of_real
        );
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
    if !report.checkpoints.is_empty() {
        text.push_str(
            "\n## Over training\n\n| training step | steps | distance |\n|---|---|---|\n",
        );
        for checkpoint in &report.checkpoints {
            let _ = writeln!(
                text,
                "| {} | {} | {:.3} |",
                checkpoint.training_step,
                checkpoint.scores.steps().unwrap_or(0),
                checkpoint.scores.distance
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

/// The tables with the sheet of pictures.
pub(super) fn with_pictures(report: &Report, gallery: &Gallery) -> String {
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
