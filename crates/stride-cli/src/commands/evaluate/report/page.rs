//! The report as one page that needs no other file.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use stride_eval::attribute_accuracy::{AttributeAccuracy, Miss, Tally};

use super::super::gallery::Gallery;
use super::super::study::Study;
use super::chart::{Chart, Line, escape};
use super::table::{Table, figure};
use super::{Report, clip_frame, heading};

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn html(report: &Report, gallery: &Gallery) -> String {
    let title = format!("{} at every step count", report.model);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n<main>\n<h1>{0}</h1>\n\
         <p class=\"dim\">{1}</p>\n",
        escape(&title),
        escape(&report.summary())
    );
    page.push_str(&facts(report));
    grid(&mut page, report, gallery);
    for study in &report.studies {
        study_section(&mut page, report, study);
        attribute_table(&mut page, study);
    }
    strips(&mut page, gallery);
    failures(&mut page, report, gallery);
    training(&mut page, report);
    certificates(&mut page, report);
    page.push_str("</main>\n</html>\n");
    page
}

/// The numbers that matter most.
fn facts(report: &Report) -> String {
    let rows = &report.studies[0].rows;
    let mut facts = String::from("<ul class=\"facts\">\n");
    let mut fact = |value: String, name: &str| {
        let _ = writeln!(facts, "<li><b>{}</b><span>{}</span></li>", escape(&value), escape(name));
    };
    for scores in [rows.first(), rows.last()].into_iter().flatten() {
        let steps = scores.steps().unwrap_or(0);
        let plural = if steps == 1 { "step" } else { "steps" };
        fact(figure(scores.distance, 4), &format!("distance at {steps} {plural}"));
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
    fact(report.samples.to_string(), "pictures a step count");
    facts.push_str("</ul>\n");
    facts
}

fn study_section(page: &mut String, report: &Report, study: &Study) {
    let _ = write!(
        page,
        "<h2>{}</h2>\n<p class=\"dim small\">Data <code>{}</code>. The row <i>autoencoder</i> is real pictures after the \
         autoencoder: no model of its latents comes nearer. Real pictures are {} from the nearest other one. Best \
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
        let point = |scores: &super::Scores| Some(((scores.steps()? as f64).log2(), f(scores)?));
        study.rows.iter().filter_map(point).collect::<Vec<_>>()
    };
    let ticks: Vec<(f64, String)> = study
        .rows
        .iter()
        .filter_map(|scores| scores.steps())
        .map(|steps| ((steps as f64).log2(), steps.to_string()))
        .collect();
    let line = |name: &str, f: &dyn Fn(&super::Scores) -> Option<f64>| Line {
        name: name.to_owned(),
        points: places(f),
    };
    let distance = Chart {
        title: "Frechet distance",
        x_name: "steps",
        ticks: ticks.clone(),
        lines: vec![line("drawn pictures", &|scores| Some(scores.distance))],
        level: Some(("autoencoder alone".to_owned(), study.floor.distance)),
        has_points: true,
    };
    let total = |accuracy: &AttributeAccuracy| Some(accuracy.total().share()?.0);
    let attributes = Chart {
        title: "Attributes named and shown",
        x_name: "steps",
        ticks: ticks.clone(),
        lines: vec![line("drawn pictures", &|scores| total(scores.attributes.as_ref()?))],
        level: study
            .real_attributes
            .as_ref()
            .and_then(total)
            .map(|share| ("real pictures".to_owned(), share)),
        has_points: true,
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
        has_points: true,
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

/// The pictures that show least of what was asked for.
fn failures(page: &mut String, report: &Report, gallery: &Gallery) {
    if report.studies.iter().all(|study| study.failures.is_empty()) {
        return;
    }
    page.push_str(
        "<h2>Failures</h2>\n<p class=\"dim small\">The pictures that, to the classifier, show least of what their \
         captions name: what was asked for, and what it sees instead.</p>\n<div class=\"failures\">\n",
    );
    for (study, pictures) in report.studies.iter().zip(&gallery.failures) {
        for (failure, picture) in study.failures.iter().zip(pictures) {
            let _ = write!(
                page,
                "<div class=\"failure\">{}<div>{} <span class=\"dim\">({} steps{})</span><ul>",
                img(picture, &failure.caption),
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
    let _ = write!(
        page,
        "<h2>The same noise, more and more steps</h2>\n<div class=\"scroll\"><div class=\"grid\" \
         style=\"grid-template-columns:11rem repeat({},minmax(4rem,9rem))\">\n<span></span>",
        steps.len()
    );
    for steps in &steps {
        let _ = write!(page, "<span class=\"head\">{steps}</span>");
    }
    for (prompt, row) in gallery.prompts.iter().zip(&gallery.grid) {
        let _ = write!(page, "\n<span class=\"caption\">{}</span>", escape(prompt));
        for (picture, steps) in row.iter().zip(&steps) {
            page.push_str(&img(picture, &format!("{prompt}, {steps} steps")));
        }
    }
    page.push_str("\n</div></div>\n");
}

fn strips(page: &mut String, gallery: &Gallery) {
    let _ = write!(
        page,
        "<h2>From noise to picture</h2>\n<p class=\"dim small\">{} The decoded state after steps of a way of 2, 4 and \
         128.</p>\n",
        escape(&gallery.prompts[0])
    );
    for (steps, states) in &gallery.strips {
        let _ = write!(page, "<div class=\"strip\"><b>{steps} steps</b>");
        for (index, state) in states.iter().enumerate() {
            let done = (index + 1) * steps / states.len();
            let _ =
                write!(page, "<span>{}</span>", img(state, &format!("after {done} of {steps}")));
        }
        page.push_str("</div>\n");
    }
}

fn training(page: &mut String, report: &Report) {
    if report.losses.is_empty() && report.checkpoints.is_empty() {
        return;
    }
    page.push_str("<h2>Training</h2>\n<div class=\"charts\">\n");
    let mut by_steps: Vec<Line> = Vec::new();
    for checkpoint in &report.checkpoints {
        let name = match checkpoint.scores.steps() {
            Some(1) | None => "1 step".to_owned(),
            Some(steps) => format!("{steps} steps"),
        };
        let point = (checkpoint.training_step as f64, checkpoint.scores.distance);
        match by_steps.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => by_steps.push(Line { name, points: vec![point] }),
        }
    }
    let over = |title: &'static str, lines: Vec<Line>, has_points| {
        let last =
            lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(0.0, f64::max);
        let first = lines.iter().flat_map(|line| &line.points).map(|p| p.0).fold(last, f64::min);
        let ticks = (0..=4)
            .map(|k| first + (last - first) * f64::from(k) / 4.0)
            .map(|place| (place, format!("{place:.0}")));
        Chart {
            title,
            x_name: "training step",
            ticks: ticks.collect(),
            lines,
            level: None,
            has_points,
        }
    };
    page.push_str(&over("Distance of checkpoints", by_steps, true).html());
    for (prefix, title) in
        [("loss", "Loss by step size"), ("held_out", "Error on held-out pictures")]
    {
        let of_kind = report.losses.iter().filter(|(name, _)| name.starts_with(prefix));
        let lines = of_kind
            .map(|(name, points)| Line { name: name.replace('_', " "), points: points.clone() })
            .collect();
        page.push_str(&over(title, lines, false).html());
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

fn img(jpeg: &[u8], alt: &str) -> String {
    format!(
        "<img alt=\"{}\" loading=\"lazy\" src=\"data:image/jpeg;base64,{}\">",
        escape(alt),
        STANDARD.encode(jpeg)
    )
}
