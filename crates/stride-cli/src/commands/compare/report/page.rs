//! The report as a page.

use std::fmt::Write as _;

use super::super::evaluation::STEP_COUNTS;
use super::super::gallery::{Gallery, PROMPTS};
use super::summary::{DIGITS, Group, Measure};
use super::{COST_COLUMNS, Report};
use crate::commands::plot::smooth;
use crate::page::{self, Chart, Line, escape, figure, training_chart};

/// The page.
pub(super) fn html(report: &Report, groups: &[Group<'_>], gallery: &Gallery) -> String {
    let mut body = facts(report, groups);
    pictures(&mut body, gallery);
    for (measure, real) in report.measures() {
        let _ = write!(
            body,
            "<h2>{}</h2>\n<p class=\"dim small\">Real pictures come to {}. The best objective of every column is \
             bold.</p>\n<div class=\"charts\">\n{}</div>\n",
            measure.heading,
            figure(real, DIGITS),
            chart(groups, measure, real)
        );
        table(&mut body, groups, measure);
    }
    strips(&mut body, gallery);
    costs(&mut body, report, groups);
    let lines = groups.iter().map(|group| Line {
        name: group.name(),
        points: smooth(&group.runs[0].loss),
        dots: Vec::new(),
    });
    let _ = write!(
        body,
        "<h2>Training</h2>\n<p class=\"dim small\">Every objective has a loss of its own, so heights do not compare.\
         </p>\n<div class=\"charts\">\n{}</div>\n",
        training_chart("Loss", lines.collect())
    );
    page::document("Objectives side by side", &report.summary(), &body)
}

/// The best objective at few steps and at many.
fn facts(report: &Report, groups: &[Group<'_>]) -> String {
    let mut facts = Vec::new();
    if let Some((measure, _)) = report.measures().next() {
        for steps in [1, 4, 128] {
            let Some(best) = measure.best(groups, steps) else { continue };
            let distance = groups[best].at(steps, measure).map_or(0.0, |spread| spread.mean);
            let plural = if steps == 1 { "step" } else { "steps" };
            facts.push((
                groups[best].name(),
                format!("best at {steps} {plural}: distance {}", figure(distance, DIGITS)),
            ));
        }
    }
    page::facts(&facts)
}

fn pictures(body: &mut String, gallery: &Gallery) {
    let names: Vec<String> =
        gallery.objectives.iter().map(|side| side.objective.replace('_', " ")).collect();
    body.push_str("<h2>The same noise, more and more steps</h2>\n");
    for (index, prompt) in PROMPTS.iter().enumerate() {
        let _ = writeln!(body, "<h3>{}</h3>", escape(prompt));
        let rows = gallery.objectives.iter().map(|side| &side.rows[index]);
        body.push_str(&page::grid(&STEP_COUNTS, names.iter().map(String::as_str).zip(rows)));
    }
}

/// Means as lines, single runs as dots.
fn chart(groups: &[Group<'_>], measure: Measure, real: f64) -> String {
    let place = |steps: usize| (steps as f64).log2();
    let line = |group: &Group<'_>| {
        let mean = |steps| Some((place(steps), group.at(steps, measure)?.mean));
        let results = group.runs.iter().flat_map(|run| &run.results);
        let dot = |result: &_| -> Option<(f64, f64)> {
            let result: &super::StepResult = result;
            Some((place(result.steps), (measure.value)(result)?))
        };
        Line {
            name: group.name(),
            points: STEP_COUNTS.into_iter().filter_map(mean).collect(),
            dots: results.filter_map(dot).collect(),
        }
    };
    Chart {
        title: measure.axis,
        x_name: "steps",
        ticks: STEP_COUNTS.map(|steps| (place(steps), steps.to_string())).into(),
        lines: groups.iter().map(line).collect(),
        level: Some(("real pictures".to_owned(), real)),
    }
    .html()
}

fn table(body: &mut String, groups: &[Group<'_>], measure: Measure) {
    body.push_str("<div class=\"scroll\"><table><thead><tr><th>objective</th>");
    for steps in STEP_COUNTS {
        let _ = write!(body, "<th>{steps}</th>");
    }
    body.push_str("</tr></thead><tbody>\n");
    for (index, group) in groups.iter().enumerate() {
        let _ = write!(body, "<tr><td>{}</td>", escape(&group.name()));
        for steps in STEP_COUNTS {
            let is_best = measure.best(groups, steps) == Some(index);
            let class = if is_best { " class=\"best\"" } else { "" };
            let cell = group.at(steps, measure).map_or_else(String::new, |spread| {
                let range = spread.range().map_or_else(String::new, |range| {
                    format!("<br><span class=\"dim small\">{range}</span>")
                });
                figure(spread.mean, DIGITS) + &range
            });
            let _ = write!(body, "<td{class}>{cell}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}

fn strips(body: &mut String, gallery: &Gallery) {
    let _ = write!(
        body,
        "<h2>From noise to picture</h2>\n<p class=\"dim small\">{}: the decoded state after steps of a way of 2, 4 and \
         128.</p>\n",
        escape(PROMPTS[0])
    );
    for side in &gallery.objectives {
        let _ = writeln!(body, "<h3>{}</h3>", escape(&side.objective.replace('_', " ")));
        for (steps, states) in &side.strips {
            body.push_str(&page::strip(&format!("{steps} steps"), *steps, states));
        }
    }
}

fn costs(body: &mut String, report: &Report, groups: &[Group<'_>]) {
    let _ = write!(
        body,
        "<h2>Cost of training</h2>\n<p class=\"dim small\">Relative to {}; the time is the median over a run and means \
         something only if nothing else ran.</p>\n<div class=\"scroll\"><table><thead><tr>",
        escape(&report.base.replace('_', " "))
    );
    for name in COST_COLUMNS {
        let _ = write!(body, "<th>{name}</th>");
    }
    body.push_str("</tr></thead><tbody>\n");
    for row in report.costs(groups) {
        body.push_str("<tr>");
        for cell in row {
            let _ = write!(body, "<td>{}</td>", escape(&cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}
