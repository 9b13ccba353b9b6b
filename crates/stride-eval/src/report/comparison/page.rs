//! The report as a page.

use maud::{Markup, html};

use super::images::ComparisonImages;
use super::runs::ComparisonReport;
use super::summary::{COST_COLUMNS, DIGITS, Group, Measure, readable};
use crate::comparison::{STEP_COUNTS, StepResult};
use crate::report::chart::{Axis, Chart, Line, smooth};
use crate::report::images::grid;
use crate::report::page::{document, facts, table};
use crate::report::text::{in_steps, significant};

/// The page.
pub(super) fn html(
    report: &ComparisonReport,
    groups: &[Group<'_>],
    images: &ComparisonImages,
) -> String {
    let names: Vec<String> = images.objectives.iter().map(|(name, _)| readable(name)).collect();
    let rows = |prompt: usize| images.objectives.iter().map(move |(_, of)| &of.rows[prompt]);
    let loss = |group: &Group<'_>| Line::plain(group.name(), smooth(&group.runs[0].loss));
    let losses = Chart {
        title: "Loss".to_owned(),
        axis: Axis::TrainingSteps,
        lines: groups.iter().map(loss).collect(),
        level: None,
    };
    let body = html! {
        (facts(&best_objectives(report, groups)))
        h2 { "The same noise with more and more steps" }
        @for (index, prompt) in images.prompts().iter().enumerate() {
            h3 { (prompt) }
            (grid(&STEP_COUNTS, names.iter().map(String::as_str).zip(rows(index))))
        }
        @for (measure, real) in report.measures() {
            h2 { (measure.heading) }
            p class="dim small" {
                "Real images score " (significant(real, DIGITS)) ". The best objective of every column is bold."
            }
            div class="charts" { (chart(groups, measure, real).figure()) }
            (measure_table(groups, measure))
        }
        h2 { "From noise to image" }
        p class="dim small" { "“" (images.prompts()[0]) "”: images decoded after intermediate steps, for 2, 4 and 128 steps in all." }
        @for (name, (_, samples)) in names.iter().zip(&images.objectives) {
            h3 { (name) }
            (samples.strips())
        }
        h2 { "Cost of training" }
        p class="dim small" { (report.about_costs()) }
        (cost_table(report, groups))
        @if !losses.is_empty() {
            h2 { "Training" }
            p class="dim small" { "Every objective has a loss of its own, so the heights are not comparable." }
            div class="charts" { (losses.figure()) }
        }
    };
    document("Objectives side by side", &report.summary(), &body)
}

/// The best objective at few steps and at many.
fn best_objectives(report: &ComparisonReport, groups: &[Group<'_>]) -> Vec<(String, String)> {
    let Some((measure, _)) = report.measures().next() else { return Vec::new() };
    let best = |steps| {
        let best = &groups[measure.best(groups, steps)?];
        let distance = significant(best.at(steps, measure)?.mean, DIGITS);
        Some((best.name(), format!("best at {}: distance {distance}", in_steps(steps))))
    };
    [1, 4, 128].into_iter().filter_map(best).collect()
}

/// Means as lines, single runs as dots.
pub(super) fn chart(groups: &[Group<'_>], measure: Measure, real: f64) -> Chart {
    let line = |group: &Group<'_>| {
        let dot =
            |result: &StepResult| Some((result.steps as f64, (measure.value)(&result.quality)?));
        let results = group.runs.iter().flat_map(|run| &run.results);
        Line {
            name: group.name(),
            points: group.curve(measure),
            dots: results.filter_map(dot).collect(),
        }
    };
    Chart {
        title: measure.axis.to_owned(),
        axis: Axis::SamplingSteps,
        lines: groups.iter().map(line).collect(),
        level: Some(("real images".to_owned(), real)),
    }
}

fn measure_table(groups: &[Group<'_>], measure: Measure) -> Markup {
    let cell = |index: usize, group: &Group<'_>, steps| {
        let is_best = measure.best(groups, steps) == Some(index);
        html! {
            td class=[is_best.then_some("best")] {
                @if let Some(spread) = group.at(steps, measure) {
                    (significant(spread.mean, DIGITS))
                    @if let Some(range) = spread.range() { br; span class="dim small" { (range) } }
                }
            }
        }
    };
    let head = html! { th { "objective" } @for steps in STEP_COUNTS { th { (steps) } } };
    let rows = html! {
        @for (index, group) in groups.iter().enumerate() {
            tr { td { (group.name()) } @for steps in STEP_COUNTS { (cell(index, group, steps)) } }
        }
    };
    table(&head, &rows)
}

fn cost_table(report: &ComparisonReport, groups: &[Group<'_>]) -> Markup {
    let head = html! { @for name in COST_COLUMNS { th { (name) } } };
    let rows = html! {
        @for row in report.costs(groups) { tr { @for cell in row { td { (cell) } } } }
    };
    table(&head, &rows)
}
