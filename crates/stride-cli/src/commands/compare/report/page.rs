//! The report as a page.

use std::fmt::Write as _;

use super::super::evaluation::{STEP_COUNTS, StepResult};
use super::super::gallery::{Gallery, PROMPTS};
use super::summary::{DIGITS, Group, Measure, readable};
use super::{COST_COLUMNS, Report};
use crate::commands::plot::smooth;
use crate::page::{
    self, Chart, Line, escape, figure, in_steps, step_place, step_ticks, training_chart,
};

/// The page.
pub(super) fn html(report: &Report, groups: &[Group<'_>], gallery: &Gallery) -> String {
    let mut body = facts(report, groups);
    images(&mut body, gallery);
    for (measure, real) in report.measures() {
        let _ = write!(
            body,
            "<h2>{}</h2>\n<p class=\"dim small\">Real images come to {}. The best objective of every column is \
             bold.</p>\n<div class=\"charts\">\n{}</div>\n",
            measure.heading,
            figure(real, DIGITS),
            chart(groups, measure, real)
        );
        measure_table(&mut body, groups, measure);
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
            let text =
                format!("best at {}: distance {}", in_steps(steps), figure(distance, DIGITS));
            facts.push((groups[best].name(), text));
        }
    }
    page::facts(&facts)
}

fn images(body: &mut String, gallery: &Gallery) {
    let names: Vec<String> =
        gallery.objectives.iter().map(|side| readable(&side.objective)).collect();
    body.push_str("<h2>The same noise, more and more steps</h2>\n");
    for (index, prompt) in PROMPTS.iter().enumerate() {
        let _ = writeln!(body, "<h3>{}</h3>", escape(prompt));
        let rows = gallery.objectives.iter().map(|side| &side.rows[index]);
        body.push_str(&page::grid(&STEP_COUNTS, names.iter().map(String::as_str).zip(rows)));
    }
}

/// Means as lines, single runs as dots.
fn chart(groups: &[Group<'_>], measure: Measure, real: f64) -> String {
    let line = |group: &Group<'_>| {
        let dot = |result: &StepResult| {
            Some((step_place(result.steps), (measure.value)(&result.quality)?))
        };
        let results = group.runs.iter().flat_map(|run| &run.results);
        Line {
            name: group.name(),
            points: group.curve(measure),
            dots: results.filter_map(dot).collect(),
        }
    };
    Chart {
        title: measure.axis,
        x_name: "steps",
        ticks: step_ticks(STEP_COUNTS),
        lines: groups.iter().map(line).collect(),
        level: Some(("real images".to_owned(), real)),
    }
    .html()
}

fn measure_table(body: &mut String, groups: &[Group<'_>], measure: Measure) {
    let columns = STEP_COUNTS.map(|steps| steps.to_string());
    let columns: Vec<&str> =
        ["objective"].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let rows = groups.iter().enumerate().map(|(index, group)| {
        let mut row = format!("<td>{}</td>", escape(&group.name()));
        for steps in STEP_COUNTS {
            let is_best = measure.best(groups, steps) == Some(index);
            let class = if is_best { " class=\"best\"" } else { "" };
            let cell = group.at(steps, measure).map_or_else(String::new, |spread| {
                let range = spread.range().map_or_else(String::new, |range| {
                    format!("<br><span class=\"dim small\">{range}</span>")
                });
                figure(spread.mean, DIGITS) + &range
            });
            let _ = write!(row, "<td{class}>{cell}</td>");
        }
        row
    });
    table(body, &columns, rows);
}

/// A table of rows that are cells already.
fn table(body: &mut String, columns: &[&str], rows: impl Iterator<Item = String>) {
    body.push_str("<div class=\"scroll\"><table><thead><tr>");
    for name in columns {
        let _ = write!(body, "<th>{name}</th>");
    }
    body.push_str("</tr></thead><tbody>\n");
    for row in rows {
        let _ = writeln!(body, "<tr>{row}</tr>");
    }
    body.push_str("</tbody></table></div>\n");
}

fn strips(body: &mut String, gallery: &Gallery) {
    let _ = write!(
        body,
        "<h2>From noise to image</h2>\n<p class=\"dim small\">{}: the decoded state after steps of a way of 2, 4 and \
         128.</p>\n",
        escape(PROMPTS[0])
    );
    for side in &gallery.objectives {
        let _ = writeln!(body, "<h3>{}</h3>", escape(&readable(&side.objective)));
        for (steps, states) in &side.strips {
            body.push_str(&page::strip(*steps, states));
        }
    }
}

fn costs(body: &mut String, report: &Report, groups: &[Group<'_>]) {
    let _ = write!(
        body,
        "<h2>Cost of training</h2>\n<p class=\"dim small\">Relative to {}; the time is the median over a run and means \
         something only if nothing else ran.</p>\n",
        escape(&readable(&report.base))
    );
    let cells = |row: Vec<String>| row.iter().map(|c| format!("<td>{}</td>", escape(c))).collect();
    table(body, &COST_COLUMNS, report.costs(groups).into_iter().map(cells));
}
