//! The report as one page that needs no other file.

use maud::{Markup, html};

use super::images::EvaluationImages;
use super::table::{Table, attribute_table};
use super::wording::{clip_frame, heading, summary};
use crate::attribute_accuracy::AttributeAccuracy;
use crate::evaluator::{EvaluationReport, Scores, SplitResult};
use crate::report::chart::{Axis, Chart, Line, Points};
use crate::report::images::grid;
use crate::report::page::{document, facts, failure, table};
use crate::report::text::{in_steps, significant};

/// The page.
pub(super) fn html(report: &EvaluationReport, images: &EvaluationImages) -> String {
    let samples = &images.samples;
    let prompts = samples.prompts.iter().map(String::as_str);
    let body = html! {
        (facts(&key_numbers(report)))
        h2 { "The same noise with more and more steps" }
        (grid(&samples.steps, prompts.zip(&samples.rows)))
        @for split in &report.splits { (split_section(report, split)) @if let Some(table) = attribute_table(split) { (table.html()) } }
        h2 { "From noise to image" }
        p class="dim small" {
            "“" (samples.prompts[0]) "”: images decoded after intermediate steps, for 2, 4 and 128 steps in all."
        }
        (samples.strips())
        (failures(report, images))
        (training(report))
        (provenance(report))
    };
    document(&format!("{} at every step count", report.model), &summary(report), &body)
}

/// The numbers that matter most.
fn key_numbers(report: &EvaluationReport) -> Vec<(String, String)> {
    let rows = &report.splits[0].rows;
    let mut facts = Vec::new();
    for scores in [rows.first(), rows.last()].into_iter().flatten() {
        let steps = in_steps(scores.steps().unwrap_or(0));
        facts.push((significant(scores.distance, 4), format!("distance at {steps}")));
    }
    let floor = report.splits[0].floor.distance;
    facts.push((significant(floor, 4), "distance of the autoencoder".to_owned()));
    for split in &report.splits {
        let fraction =
            |scores: &Scores| Some((total(scores.attributes.as_ref()?)?, scores.steps()?));
        let best = split.rows.iter().filter_map(fraction).max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((fraction, steps)) = best {
            let of = if split.label == "heldout" { "held-out attributes" } else { "attributes" };
            let name = format!("{of} shown at {}", in_steps(steps));
            facts.push((format!("{:.1} %", 1e2 * fraction), name));
        }
    }
    facts.push((report.samples.to_string(), "images per step count".to_owned()));
    facts
}

fn split_section(report: &EvaluationReport, split: &SplitResult) -> Markup {
    let step_table = Table::of(report, split);
    let head = html! {
        th { "steps" }
        @for column in &step_table.columns { th title=(column.meaning) { (column.title()) } }
    };
    let rows = html! {
        @for (index, row) in step_table.rows.iter().enumerate() {
            tr class=[(index == 0).then_some("floor")] {
                td { (row.name) }
                @for (column, cell) in row.cells.iter().enumerate() {
                    td class=[step_table.is_best(index, column).then_some("best")] { (cell.text) }
                }
            }
        }
    };
    html! {
        h2 { (heading(split)) }
        p class="dim small" {
            "Data: " code { (split.folder) } ". The row " i { "autoencoder" } " is real images after the autoencoder: \
            no model of its latents can do better. A real image is at a distance of "
            (significant(split.nearest_of_real, 4)) " from its nearest neighbour, on average. The best of every column \
            is bold; hover over the name of a column for its meaning."
        }
        @if let Some(frame) = clip_frame(report, split) { p class="dim small" { (frame) } }
        @if let Some(flag) = &split.floor.flag { p class="flag small" { (flag) } }
        (table(&head, &rows))
        div class="charts" { @for chart in step_charts(split) { (chart.figure()) } }
    }
}

/// Distance, attributes and overlap by number of steps.
fn step_charts(split: &SplitResult) -> [Chart; 3] {
    let line = |name: &str, value: &dyn Fn(&Scores) -> Option<f64>| {
        let point = |scores: &Scores| Some((scores.steps()? as f64, value(scores)?));
        Line::dotted(name, split.rows.iter().filter_map(point).collect())
    };
    let chart = |title: &str, lines: Vec<Line>, level: Option<(&str, f64)>| Chart {
        title: title.to_owned(),
        axis: Axis::SamplingSteps,
        lines,
        level: level.map(|(name, value)| (name.to_owned(), value)),
    };
    let distance = line("generated images", &|scores| Some(scores.distance));
    let attributes = line("generated images", &|scores| total(scores.attributes.as_ref()?));
    let overlap = vec![
        line("precision", &|scores| scores.precision),
        line("recall", &|scores| scores.recall),
        line("coverage", &|scores| scores.coverage),
    ];
    let real_attributes = split.real_attributes.as_ref().and_then(total);
    [
        chart(
            "Frechet distance",
            vec![distance],
            Some(("autoencoder alone", split.floor.distance)),
        ),
        chart(
            "Attributes named and shown",
            vec![attributes],
            real_attributes.map(|fraction| ("real images", fraction)),
        ),
        chart("Precision and recall", overlap, None),
    ]
}

/// The fraction of all named attributes that is shown.
fn total(accuracy: &AttributeAccuracy) -> Option<f64> {
    Some(accuracy.total().fraction()?.0)
}

/// The images that show least of what was asked for.
fn failures(report: &EvaluationReport, images: &EvaluationImages) -> Markup {
    if report.splits.iter().all(|split| split.failures.is_empty()) {
        return html! {};
    }
    html! {
        h2 { "Failures" }
        p class="dim small" {
            "The images that, according to the attribute classifier, show least of what their captions name: what was \
            asked for, and what it sees instead."
        }
        div class="failures" {
            @for (split, tiles) in report.splits.iter().zip(&images.failures) {
                @for (found, tile) in split.failures.iter().zip(tiles) {
                    @let held_out = if split.label == "heldout" { ", held out" } else { "" };
                    @let note = format!("({}{held_out})", in_steps(found.steps));
                    @let misses = found.misses.iter().map(|miss| [&*miss.attribute, &*miss.wanted, &*miss.seen]);
                    (failure(tile, &found.caption, &note, misses))
                }
            }
        }
    }
}

fn training(report: &EvaluationReport) -> Markup {
    if report.losses.is_empty() && report.checkpoints.is_empty() {
        return html! {};
    }
    let mut by_steps: Vec<(usize, Points)> = Vec::new();
    for checkpoint in &report.checkpoints {
        let steps = checkpoint.scores.steps().unwrap_or(1);
        let point = (checkpoint.training_step as f64, checkpoint.scores.distance);
        match by_steps.iter_mut().find(|(other, _)| *other == steps) {
            Some((_, points)) => points.push(point),
            None => by_steps.push((steps, vec![point])),
        }
    }
    let line = |(steps, points)| Line::dotted(in_steps(steps), points);
    let distances = Chart {
        title: "Distance of checkpoints".to_owned(),
        axis: Axis::TrainingSteps,
        lines: by_steps.into_iter().map(line).collect(),
        level: None,
    };
    html! {
        h2 { "Training" }
        div class="charts" {
            (distances.figure())
            (Chart::over_training("Loss by step size", &report.losses, "loss").figure())
            (Chart::over_training("Error on held-out images", &report.losses, "held_out").figure())
        }
    }
}

/// What the numbers depend on.
fn provenance(report: &EvaluationReport) -> Markup {
    let floor = &report.splits[0].floor;
    let first = &floor.provenance;
    let about = [
        ("distance", floor.distance_name.clone()),
        ("protocol", format!("{} ({})", first.protocol.name(), first.input)),
        ("feature weights", first.weights_sha256.clone()),
        ("samples", format!("{} per row, seeds from {}", report.samples, report.seed)),
        ("guidance", report.cfg_scale.to_string()),
        ("model", format!("{} {}", report.model, report.model_hash)),
        ("version", format!("stride {}", report.version)),
    ];
    html! {
        h2 { "Provenance" }
        dl class="about" {
            @for (name, value) in about { dt { (name) } dd { (value) } }
            @for split in &report.splits { dt { (split.label) } dd { (split.fingerprint) } }
        }
        details {
            summary { "Provenance of every row" }
            ol class="provenance" {
                @for split in &report.splits {
                    @for scores in std::iter::once(&split.floor).chain(&split.rows) {
                        li { code { (scores.provenance) } }
                    }
                }
            }
        }
    }
}
