//! The report as Markdown.

use std::fmt::Write as _;

use super::images::{ComparisonImages, SHEET_PROMPTS};
use super::runs::ComparisonReport;
use super::summary::{COST_COLUMNS, DIGITS, Group, Measure};
use crate::comparison::STEP_COUNTS;
use crate::report::markdown::table;
use crate::report::text::significant;

/// Measures and costs; the best of every column in bold.
pub(super) fn tables(report: &ComparisonReport, groups: &[Group<'_>]) -> String {
    let mut text = format!("# Objectives side by side\n\n{}\n", report.summary());
    for (measure, real) in report.measures() {
        let _ = write!(
            text,
            "\n## {}\n\nReal images score {}.\n\n",
            measure.heading,
            significant(real, DIGITS)
        );
        let columns: Vec<String> = std::iter::once("objective".to_owned())
            .chain(STEP_COUNTS.map(|steps| steps.to_string()))
            .collect();
        let row = |(index, group): (usize, &Group<'_>)| {
            let cell = |steps| cell(groups, index, measure, steps);
            std::iter::once(group.name()).chain(STEP_COUNTS.map(cell)).collect()
        };
        text += &table(&columns, groups.iter().enumerate().map(row));
    }
    let _ = write!(text, "\n## Cost of training\n\n{}\n\n", report.about_costs());
    text + &table(&COST_COLUMNS, report.costs(groups))
}

fn cell(groups: &[Group<'_>], index: usize, measure: Measure, steps: usize) -> String {
    let bold = if measure.best(groups, steps) == Some(index) { "**" } else { "" };
    groups[index].at(steps, measure).map_or_else(String::new, |spread| {
        let range = spread.range().map_or_else(String::new, |range| format!(" ({range})"));
        format!("{bold}{}{bold}{range}", significant(spread.mean, DIGITS))
    })
}

/// The tables with curves and the sheet of images.
pub(super) fn with_images(
    report: &ComparisonReport,
    groups: &[Group<'_>],
    images: &ComparisonImages,
) -> String {
    let mut text = tables(report, groups);
    let names: Vec<String> = groups.iter().map(Group::name).collect();
    let _ = write!(
        text,
        "\n## Curves\n\n![Measures by number of steps](curves.svg)\n\n\
         ## The same noise at {} steps\n\n![A row for each objective](steps.jpg)\n\nFrom top to bottom: {}. From left \
         to right: {}.\n",
        STEP_COUNTS.map(|steps| steps.to_string()).join(", "),
        names.join(", "),
        images.prompts()[..SHEET_PROMPTS].join("; then ")
    );
    text
}
