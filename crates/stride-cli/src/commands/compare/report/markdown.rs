//! The report as Markdown.

use std::fmt::Write as _;

use super::super::evaluation::STEP_COUNTS;
use super::super::gallery::{PROMPTS, SHEET_PROMPTS};
use super::summary::{DIGITS, Group, readable};
use super::{COST_COLUMNS, Report};
use crate::page::figure;

/// Measures and costs; the best of every column in bold.
pub(super) fn tables(report: &Report, groups: &[Group<'_>]) -> String {
    let mut text = format!("# Objectives side by side\n\n{}\n", report.summary());
    for (measure, real) in report.measures() {
        let steps = STEP_COUNTS.map(|steps| steps.to_string()).join(" | ");
        let _ = write!(
            text,
            "\n## {}\n\nReal images come to {}.\n\n| objective | {steps} |\n|---{}|\n",
            measure.heading,
            figure(real, DIGITS),
            "|---".repeat(STEP_COUNTS.len())
        );
        for (index, group) in groups.iter().enumerate() {
            let _ = write!(text, "| {} |", group.name());
            for steps in STEP_COUNTS {
                let bold = if measure.best(groups, steps) == Some(index) { "**" } else { "" };
                let cell = group.at(steps, measure).map_or_else(String::new, |spread| {
                    let range = spread.range().map_or_else(String::new, |r| format!(" ({r})"));
                    format!("{bold}{}{bold}{range}", figure(spread.mean, DIGITS))
                });
                let _ = write!(text, " {cell} |");
            }
            text.push('\n');
        }
    }
    let _ = write!(
        text,
        "\n## Cost of training\n\nRelative to {}; the time is the median over a run and means something only if nothing \
         else ran.\n\n| {} |\n{}|\n",
        readable(&report.base),
        COST_COLUMNS.join(" | "),
        "|---".repeat(COST_COLUMNS.len())
    );
    for row in report.costs(groups) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// The tables with curves and the sheet of images.
pub(super) fn with_images(report: &Report, groups: &[Group<'_>]) -> String {
    let mut text = tables(report, groups);
    let names: Vec<String> = groups.iter().map(Group::name).collect();
    let _ = write!(
        text,
        "\n## Curves\n\n![Measures by number of steps](curves.svg)\n\n\
         ## The same noise at {} steps\n\n![A row for each objective](steps.jpg)\n\nFrom top to bottom: {}. From left \
         to right: {}.\n",
        STEP_COUNTS.map(|steps| steps.to_string()).join(", "),
        names.join(", "),
        PROMPTS[..SHEET_PROMPTS].join("; then ")
    );
    text
}
