//! The report as one page that needs no other file.

use std::fmt::Write as _;

use stride_eval::attribute_accuracy::{AttributeAccuracy, Miss, Tally};

use super::super::gallery::Gallery;
use super::super::study::Study;
use super::table::Table;
use super::{Report, clip_frame, heading};
use crate::page::{
    self, Chart, Line, escape, figure, img, in_steps, step_place, step_ticks, training_chart,
};

/// The page.
pub(super) fn html(report: &Report, gallery: &Gallery) -> String {
    let title = format!("{} at every step count", report.model);
    let mut page = facts(report);
    grid(&mut page, report, gallery);
    for study in &report.studies {
        study_section(&mut page, report, study);
        attribute_table(&mut page, study);
    }
    strips(&mut page, gallery);
    failures(&mut page, report, gallery);
    training(&mut page, report);
    certificates(&mut page, report);
    page::document(&title, &report.summary(), &page)
}

/// The numbers that matter most.
fn facts(report: &Report) -> String {
    let rows = &report.studies[0].rows;
    let mut facts = Vec::new();
    let mut fact = |value: String, name: &str| facts.push((value, name.to_owned()));
    for scores in [rows.first(), rows.last()].into_iter().flatten() {
        let steps = scores.steps().unwrap_or(0);
        fact(figure(scores.distance, 4), &format!("distance at {}", in_steps(steps)));
    }
    fact(figure(report.studies[0].floor.distance, 4), "distance of the autoencoder");
    for study in &report.studies {
        let best = |scores: &super::Scores| {
            Some((scores.attributes.as_ref()?.total().share()?.0, scores.steps()?))
        };
        if let Some((share, steps)) =
            study.rows.iter().filter_map(best).max_by(|a, b| a.0.total_cmp(&b.0))
        {
            let of = if study.label == "heldout" { "held-out attributes" } else { "attributes" };
            fact(format!("{:.1} %", 1e2 * share), &format!("{of} shown at {steps} steps"));
        }
    }
    fact(report.samples.to_string(), "images a step count");
    page::facts(&facts)
}

fn study_section(page: &mut String, report: &Report, study: &Study) {
    let _ = write!(
        page,
        "<h2>{}</h2>\n<p class=\"dim small\">Data <code>{}</code>. The row <i>autoencoder</i> is real images after the \
         autoencoder: no model of its latents comes nearer. Real images are {} from the nearest other one. Best \
         step counts in bold; a column's name tells what it says.</p>\n",
        heading(study),
        escape(&study.folder),
        figure(study.nearest_of_real, 4)
    );
    if let Some(frame) = clip_frame(report, study) {
        let _ = writeln!(page, "<p class=\"dim small\">{}</p>", escape(&frame));
    }
    if let Some(flag) = &study.floor.flag {
        let _ = writeln!(page, "<p class=\"flag small\">{}</p>", escape(flag));
    }
    let table = Table::of(report, study);
    page.push_str("<div class=\"scroll\"><table><thead><tr><th>steps</th>");
    for column in &table.columns {
        let (meaning, name) = (escape(column.meaning), escape(column.name));
        let _ = write!(page, "<th title=\"{meaning}\">{name} {}</th>", column.arrow);
    }
    page.push_str("</tr></thead><tbody>\n");
    let best: Vec<Option<usize>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| best_row(&table.rows, index + 1, column.arrow))
        .collect();
    for (index, row) in table.rows.iter().enumerate() {
        page.push_str(if index == 0 { "<tr class=\"floor\">" } else { "<tr>" });
        for (column, cell) in row.iter().enumerate() {
            let is_best = column > 0 && best[column - 1] == Some(index);
            let class = if is_best { " class=\"best\"" } else { "" };
            let _ = write!(page, "<td{class}>{}</td>", escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n<div class=\"charts\">\n");
    page.push_str(&step_charts(study));
    page.push_str("</div>\n");
}

/// The row with the best first number of a column, the floor left out.
fn best_row(rows: &[Vec<String>], column: usize, arrow: &str) -> Option<usize> {
    let sign = match arrow {
        "↓" => -1.0,
        "↑" => 1.0,
        _ => return None,
    };
    let value = |row: &Vec<String>| row[column].split(' ').next()?.parse::<f64>().ok();
    let values =
        rows.iter().enumerate().skip(1).filter_map(|(index, row)| Some((index, value(row)?)));
    values.max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1))).map(|(index, _)| index)
}

fn step_charts(study: &Study) -> String {
    let places = |f: &dyn Fn(&super::Scores) -> Option<f64>| {
        let point = |scores: &super::Scores| Some((step_place(scores.steps()?), f(scores)?));
        study.rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let ticks = step_ticks(study.rows.iter().filter_map(|scores| scores.steps()));
    let line = |name: &str, f: &dyn Fn(&super::Scores) -> Option<f64>| {
        let points = places(f);
        Line { name: name.to_owned(), dots: points.clone(), points }
    };
    let distance = Chart {
        title: "Frechet distance",
        x_name: "steps",
        ticks: ticks.clone(),
        lines: vec![line("drawn images", &|scores| Some(scores.distance))],
        level: Some(("autoencoder alone".to_owned(), study.floor.distance)),
    };
    let total = |accuracy: &AttributeAccuracy| Some(accuracy.total().share()?.0);
    let attributes = Chart {
        title: "Attributes named and shown",
        x_name: "steps",
        ticks: ticks.clone(),
        lines: vec![line("drawn images", &|scores| total(scores.attributes.as_ref()?))],
        level: study
            .real_attributes
            .as_ref()
            .and_then(total)
            .map(|share| ("real images".to_owned(), share)),
    };
    let overlap = Chart {
        title: "Precision and recall",
        x_name: "steps",
        ticks,
        lines: vec![
            line("precision", &|scores| scores.precision),
            line("recall", &|scores| scores.recall),
            line("coverage", &|scores| scores.coverage),
        ],
        level: None,
    };
    [distance, attributes, overlap].iter().map(Chart::html).collect()
}

/// The share of every attribute at every step count.
fn attribute_table(page: &mut String, study: &Study) {
    let Some(real) = &study.real_attributes else { return };
    page.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>attribute</th><th>named</th><th>real</th>",
    );
    let rows: Vec<(usize, &AttributeAccuracy)> = study
        .rows
        .iter()
        .filter_map(|scores| Some((scores.steps()?, scores.attributes.as_ref()?)))
        .collect();
    for (steps, _) in &rows {
        let _ = write!(page, "<th>{steps}</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    let percent = |tally: Option<Tally>| {
        let share = tally.and_then(|tally| tally.share()).map(|(share, _)| share);
        share.map_or_else(
            || "<td></td>".to_owned(),
            |share| {
                // From half right on, so that differences show.
                let strength = (2.0 * share - 1.0).max(0.0) * 0.45;
                format!("<td class=\"share\" style=\"--a:{strength:.2}\">{:.0} %</td>", 1e2 * share)
            },
        )
    };
    for (name, tally) in real.by_attribute() {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td>{}",
            escape(&name.replace('_', " ")),
            tally.named,
            percent(Some(tally))
        );
        for (_, accuracy) in &rows {
            let found = accuracy.by_attribute().find(|(other, _)| *other == name);
            page.push_str(&percent(found.map(|(_, tally)| tally)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// The images that show least of what was asked for.
fn failures(page: &mut String, report: &Report, gallery: &Gallery) {
    if report.studies.iter().all(|study| study.failures.is_empty()) {
        return;
    }
    page.push_str(
        "<h2>Failures</h2>\n<p class=\"dim small\">The images that, to the classifier, show least of what their \
         captions name: what was asked for, and what it sees instead.</p>\n<div class=\"failures\">\n",
    );
    for (study, images) in report.studies.iter().zip(&gallery.failures) {
        for (failure, image) in study.failures.iter().zip(images) {
            let _ = write!(
                page,
                "<div class=\"failure\">{}<div>{} <span class=\"dim\">({} steps{})</span><ul>",
                img(image, &failure.caption),
                escape(&failure.caption),
                failure.steps,
                if study.label == "heldout" { ", held out" } else { "" }
            );
            for Miss { attribute, wanted, seen } in &failure.misses {
                let attribute = attribute.replace('_', " ");
                let _ = write!(
                    page,
                    "<li>{}: <ins>{}</ins>, seen <del>{}</del></li>",
                    escape(&attribute),
                    escape(wanted),
                    escape(seen)
                );
            }
            page.push_str("</ul></div></div>\n");
        }
    }
    page.push_str("</div>\n");
}

fn grid(page: &mut String, report: &Report, gallery: &Gallery) {
    let steps: Vec<usize> =
        report.studies[0].rows.iter().filter_map(super::Scores::steps).collect();
    page.push_str("<h2>The same noise, more and more steps</h2>\n");
    let rows = gallery.prompts.iter().map(String::as_str).zip(&gallery.grid);
    page.push_str(&page::grid(&steps, rows));
}

fn strips(page: &mut String, gallery: &Gallery) {
    let _ = write!(
        page,
        "<h2>From noise to image</h2>\n<p class=\"dim small\">{} The decoded state after steps of a way of 2, 4 and \
         128.</p>\n",
        escape(&gallery.prompts[0])
    );
    for (steps, states) in &gallery.strips {
        page.push_str(&page::strip(*steps, states));
    }
}

fn training(page: &mut String, report: &Report) {
    if report.losses.is_empty() && report.checkpoints.is_empty() {
        return;
    }
    page.push_str("<h2>Training</h2>\n<div class=\"charts\">\n");
    let mut by_steps: Vec<Line> = Vec::new();
    for checkpoint in &report.checkpoints {
        let name = in_steps(checkpoint.scores.steps().unwrap_or(1));
        let point = (checkpoint.training_step as f64, checkpoint.scores.distance);
        match by_steps.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => by_steps.push(Line { name, points: vec![point], dots: Vec::new() }),
        }
    }
    for line in &mut by_steps {
        line.dots.clone_from(&line.points);
    }
    page.push_str(&training_chart("Distance of checkpoints", by_steps));
    for (prefix, title) in [("loss", "Loss by step size"), ("held_out", "Error on held-out images")]
    {
        let of_kind = report.losses.iter().filter(|(name, _)| name.starts_with(prefix));
        let lines = of_kind
            .map(|(name, points)| Line {
                name: name.replace('_', " "),
                points: points.clone(),
                dots: Vec::new(),
            })
            .collect();
        page.push_str(&training_chart(title, lines));
    }
    page.push_str("</div>\n");
}

fn certificates(page: &mut String, report: &Report) {
    let first = &report.studies[0].floor.certificate;
    let _ = write!(page, "<h2>Certificate</h2>\n<dl class=\"about\">");
    for (name, value) in [
        ("distance", report.studies[0].floor.distance_name.clone()),
        ("protocol", format!("{} ({})", first.protocol.name(), first.input)),
        ("feature weights", first.weights_sha256.clone()),
        ("samples", format!("{} a row, seeds from {}", report.samples, report.seed)),
        ("guidance", report.cfg_scale.to_string()),
        ("model", format!("{} {}", report.model, report.model_hash)),
        ("version", format!("stride {}", report.version)),
    ] {
        let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    for study in &report.studies {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", study.label, escape(&study.fingerprint));
    }
    page.push_str(
        "</dl>\n<details><summary>One certificate a row</summary><ol class=\"certificates\">\n",
    );
    for study in &report.studies {
        for scores in std::iter::once(&study.floor).chain(&study.rows) {
            let _ =
                writeln!(page, "<li><code>{}</code></li>", escape(&scores.certificate.to_string()));
        }
    }
    page.push_str("</ol></details>\n");
}
