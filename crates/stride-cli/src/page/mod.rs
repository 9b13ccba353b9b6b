//! A report as one HTML page that needs no other file: its frame, charts and images.

mod chart;
mod images;
mod text;

use std::fmt::Write as _;

pub(crate) use chart::{Chart, Line, step_place, step_ticks};
pub(crate) use images::{GAP, STRIP_STEPS, img, is_in_strip, jpeg, tile};
pub(crate) use text::{escape, figure, in_steps};

const STYLE: &str = include_str!("style.css");

/// A whole page: title, one paragraph on what was done, and the rest.
pub(crate) fn document(title: &str, summary: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n<main>\n<h1>{0}</h1>\n\
         <p class=\"dim\">{1}</p>\n{body}</main>\n</html>\n",
        escape(title),
        escape(summary)
    )
}

/// The numbers that matter most: value and name.
pub(crate) fn facts(facts: &[(String, String)]) -> String {
    let mut html = String::from("<ul class=\"facts\">\n");
    for (value, name) in facts {
        let _ = writeln!(html, "<li><b>{}</b><span>{}</span></li>", escape(value), escape(name));
    }
    html + "</ul>\n"
}

/// Images (JPEG) in named rows, a column for each step count.
pub(crate) fn grid<'a>(
    steps: &[usize],
    rows: impl IntoIterator<Item = (&'a str, &'a Vec<Vec<u8>>)>,
) -> String {
    let mut html = format!(
        "<div class=\"scroll\"><div class=\"grid\" style=\"grid-template-columns:11rem \
         repeat({},minmax(4rem,9rem))\">\n<span></span>",
        steps.len()
    );
    for steps in steps {
        let _ = write!(html, "<span class=\"head\">{steps}</span>");
    }
    for (name, images) in rows {
        let _ = write!(html, "\n<span class=\"caption\">{}</span>", escape(name));
        for (image, steps) in images.iter().zip(steps) {
            html.push_str(&img(image, &format!("{name}, {steps} steps")));
        }
    }
    html + "\n</div></div>\n"
}

/// States (JPEG) on the way from noise to an image of `steps` steps, evenly spaced.
pub(crate) fn strip(steps: usize, states: &[Vec<u8>]) -> String {
    let mut html = format!("<div class=\"strip\"><b>{}</b>", in_steps(steps));
    for (index, state) in states.iter().enumerate() {
        let done = (index + 1) * steps / states.len();
        let _ = write!(html, "<span>{}</span>", img(state, &format!("after {done} of {steps}")));
    }
    html + "</div>\n"
}

/// A chart of curves over training.
pub(crate) fn training_chart(title: &str, lines: Vec<Line>) -> String {
    let places = || lines.iter().flat_map(|line| &line.points).map(|point| point.0);
    let last = places().fold(0.0, f64::max);
    let first = places().fold(last, f64::min);
    let ticks = (0..=4)
        .map(|k| first + (last - first) * f64::from(k) / 4.0)
        .map(|place| (place, format!("{place:.0}")))
        .collect();
    Chart { title, x_name: "training step", ticks, lines, level: None }.html()
}
