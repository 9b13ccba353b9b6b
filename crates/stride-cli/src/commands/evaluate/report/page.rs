//! The report as one page that needs no other file.

use maud::{Markup, html};
use stride_eval::attribute_accuracy::{AttributeAccuracy, Tally};
use stride_eval::evaluator::{EvaluationReport, Scores, SplitResult};
use stride_eval::report::chart::{Axis, Chart, Line, Points};
use stride_eval::report::images::{grid, strip};
use stride_eval::report::page::{document, facts, table};
use stride_eval::report::text::{in_steps, significant};

use super::super::gallery::Gallery;
use super::table::Table;
use super::{clip_frame, heading, summary};

/// The page.
pub(super) fn html(report: &EvaluationReport, gallery: &Gallery) -> String {
    let steps: Vec<usize> = report.splits[0].rows.iter().filter_map(Scores::steps).collect();
    let prompts = gallery.prompts.iter().map(String::as_str);
    let body = html! {
        (facts(&key_numbers(report)))
        h2 { "The same noise with more and more steps" }
        (grid(&steps, prompts.zip(&gallery.grid)))
        @for study in &report.splits { (study_section(report, study)) (attribute_table(study)) }
        h2 { "From noise to image" }
        p class="dim small" {
            (gallery.prompts[0]) " The decoded image after intermediate steps, out of 2, 4 and 128."
        }
        @for states in &gallery.strips { (strip(states)) }
        (failures(report, gallery))
        (training(report))
        (certificates(report))
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
    for study in &report.splits {
        let fraction =
            |scores: &Scores| Some((total(scores.attributes.as_ref()?)?, scores.steps()?));
        let best = study.rows.iter().filter_map(fraction).max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((fraction, steps)) = best {
            let of = if study.label == "heldout" { "held-out attributes" } else { "attributes" };
            let name = format!("{of} shown at {}", in_steps(steps));
            facts.push((format!("{:.1} %", 1e2 * fraction), name));
        }
    }
    facts.push((report.samples.to_string(), "images per step count".to_owned()));
    facts
}

fn study_section(report: &EvaluationReport, study: &SplitResult) -> Markup {
    let step_table = Table::of(report, study);
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
        h2 { (heading(study)) }
        p class="dim small" {
            "Data: " code { (study.folder) } ". The row " i { "autoencoder" } " is real images after the autoencoder: \
            no model of its latents can do better. A real image is at a distance of "
            (significant(study.nearest_of_real, 4)) " from its nearest neighbour, on average. The best of every column \
            is bold; hover over the name of a column for its meaning."
        }
        @if let Some(frame) = clip_frame(report, study) { p class="dim small" { (frame) } }
        @if let Some(flag) = &study.floor.flag { p class="flag small" { (flag) } }
        (table(&head, &rows))
        div class="charts" { @for chart in step_charts(study) { (chart.figure()) } }
    }
}

/// Distance, attributes and overlap by number of steps.
fn step_charts(study: &SplitResult) -> [Chart; 3] {
    let line = |name: &str, value: &dyn Fn(&Scores) -> Option<f64>| {
        let point = |scores: &Scores| Some((scores.steps()? as f64, value(scores)?));
        Line::dotted(name, study.rows.iter().filter_map(point).collect())
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
    let real_attributes = study.real_attributes.as_ref().and_then(total);
    [
        chart(
            "Frechet distance",
            vec![distance],
            Some(("autoencoder alone", study.floor.distance)),
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

/// How often every attribute is shown at every step count.
fn attribute_table(study: &SplitResult) -> Markup {
    let Some(real) = &study.real_attributes else { return html! {} };
    let rows: Vec<(usize, &AttributeAccuracy)> = study
        .rows
        .iter()
        .filter_map(|scores| Some((scores.steps()?, scores.attributes.as_ref()?)))
        .collect();
    let percent = |tally: Option<Tally>| match tally.and_then(|tally| tally.fraction()) {
        None => html! { td {} },
        Some((fraction, _)) => {
            // From half right on, so that differences show.
            let strength = (2.0 * fraction - 1.0).max(0.0) * 0.45;
            html! { td class="share" style=(format!("--a:{strength:.2}")) { (format!("{:.0} %", 1e2 * fraction)) } }
        }
    };
    let head = html! {
        th { "attribute" } th { "named" } th { "real" }
        @for (steps, _) in &rows { th { (steps) } }
    };
    let body = html! {
        @for (name, tally) in real.by_attribute() {
            tr {
                td { (name.replace('_', " ")) }
                td { (tally.named) }
                (percent(Some(tally)))
                @for (_, accuracy) in &rows {
                    (percent(accuracy.by_attribute().find(|(other, _)| *other == name).map(|(_, tally)| tally)))
                }
            }
        }
    };
    table(&head, &body)
}

/// The images that show least of what was asked for.
fn failures(report: &EvaluationReport, gallery: &Gallery) -> Markup {
    if report.splits.iter().all(|study| study.failures.is_empty()) {
        return html! {};
    }
    html! {
        h2 { "Failures" }
        p class="dim small" {
            "The images that, according to the attribute classifier, show least of what their captions name: what was \
            asked for, and what it sees instead."
        }
        div class="failures" {
            @for (study, images) in report.splits.iter().zip(&gallery.failures) {
                @for (failure, image) in study.failures.iter().zip(images) {
                    div class="failure" {
                        (image.img(&failure.caption))
                        div {
                            (failure.caption)
                            " " span class="dim" {
                                "(" (in_steps(failure.steps)) @if study.label == "heldout" { ", held out" } ")"
                            }
                            ul {
                                @for miss in &failure.misses {
                                    li {
                                        (miss.attribute.replace('_', " ")) ": "
                                        ins { (miss.wanted) } ", seen " del { (miss.seen) }
                                    }
                                }
                            }
                        }
                    }
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

fn certificates(report: &EvaluationReport) -> Markup {
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
        h2 { "Certificate" }
        dl class="about" {
            @for (name, value) in about { dt { (name) } dd { (value) } }
            @for study in &report.splits { dt { (study.label) } dd { (study.fingerprint) } }
        }
        details {
            summary { "The certificate of every row" }
            ol class="certificates" {
                @for study in &report.splits {
                    @for scores in std::iter::once(&study.floor).chain(&study.rows) {
                        li { code { (scores.provenance) } }
                    }
                }
            }
        }
    }
}
