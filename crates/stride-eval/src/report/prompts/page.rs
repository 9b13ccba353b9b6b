//! The report as one page that needs no other file.

use maud::{Markup, html};

use super::images::PromptImages;
use super::wording::{COLUMNS, INTERVALS, attributes, percent, row, seen, shown, summary};
use crate::evaluator::{PromptReport, PromptScores, Share};
use crate::report::chart::{Axis, Chart, Line};
use crate::report::images::{Tile, grid};
use crate::report::page::{document, facts, failure, table};
use crate::report::text::in_steps;

/// The page.
pub(super) fn html(report: &PromptReport, images: &PromptImages) -> String {
    let steps: Vec<usize> = report.rows.iter().map(|row| row.steps).collect();
    let prompts = images.prompts.iter().map(String::as_str);
    let head = html! { @for column in COLUMNS { th { (column) } } };
    let rows = html! {
        @for scores in &report.rows { tr { @for cell in row(scores) { td { (cell) } } } }
    };
    let body = html! {
        (facts(&key_numbers(report)))
        h2 { "What was asked for, by number of steps" }
        p class="dim small" { (INTERVALS) }
        (table(&head, &rows))
        div class="charts" { (chart(report).figure()) }
        (attributes(report).html())
        h2 { "The same noise with more and more steps" }
        (grid(&steps, prompts.zip(&images.rows)))
        (failures(report, &images.failures))
        (provenance(report))
    };
    document(&format!("{} on prompts", report.model), &summary(report), &body)
}

/// The numbers that matter most.
fn key_numbers(report: &PromptReport) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    for scores in &report.rows {
        let steps = in_steps(scores.steps);
        facts.push((percent(&scores.attributes_shown), format!("attributes shown at {steps}")));
    }
    facts.push((report.count.to_string(), "prompts".to_owned()));
    facts.push((report.seeds.to_string(), "images of each".to_owned()));
    facts
}

/// Both shares by number of steps.
fn chart(report: &PromptReport) -> Chart {
    let line = |name: &str, share: fn(&PromptScores) -> &Share| {
        let point = |scores: &PromptScores| (scores.steps as f64, share(scores).fraction);
        Line::dotted(name, report.rows.iter().map(point).collect())
    };
    Chart {
        title: "Asked for and shown".to_owned(),
        axis: Axis::SamplingSteps,
        lines: vec![
            line("attributes shown", |scores| &scores.attributes_shown),
            line("images with all of them", |scores| &scores.images_right),
        ],
        level: None,
    }
}

/// The prompts whose images show least of what was asked for.
fn failures(report: &PromptReport, tiles: &[Tile]) -> Markup {
    if report.failures.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Prompts that miss most" }
        p class="dim small" {
            (report.failures.len()) " of " (report.count) " prompts miss something at "
            (in_steps(report.failure_steps)) ". For the worst: how many attributes their images show, what was asked for, \
            and what the classifier sees instead, in how many images. The image shown is the worst of them."
        }
        div class="failures" {
            @for (found, tile) in report.failures.iter().zip(tiles) {
                @let seed = report.seed.wrapping_add(found.worst_image as u64);
                @let note = format!("(line {}, {}, seed {seed})", found.line, shown(found));
                @let seen: Vec<String> = found.misses.iter().map(|miss| seen(miss, report.seeds)).collect();
                @let misses = found.misses.iter().zip(&seen);
                (failure(tile, &found.text, &note, misses.map(|(miss, seen)| [&*miss.attribute, &*miss.wanted, &**seen])))
            }
        }
    }
}

/// What the numbers depend on.
fn provenance(report: &PromptReport) -> Markup {
    let about = [
        ("prompts", format!("{} {}", report.prompts, report.fingerprint)),
        ("images", format!("{} of each prompt, seeds from {}", report.seeds, report.seed)),
        ("guidance", report.cfg_scale.to_string()),
        ("model", format!("{} {}", report.model, report.model_hash)),
        ("judge", report.classifier.clone()),
        ("version", format!("stride {}", report.version)),
    ];
    html! {
        h2 { "Provenance" }
        dl class="about" { @for (name, value) in about { dt { (name) } dd { (value) } } }
        details {
            summary { "Provenance of every row" }
            ol class="provenance" { @for row in &report.rows { li { code { (row.provenance) } } } }
        }
    }
}
