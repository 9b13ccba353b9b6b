//! `stride plot`: draws the curves of a training run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use serde_json::{Map, Value};

/// Draw the loss curves of a training run as an SVG image
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Folder of the run, with its metrics.jsonl
    run_dir: PathBuf,
    /// SVG file to write [default: RUN_DIR/curves.svg]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The values of one name over the run: (step, value).
pub(crate) type Curve = Vec<(f64, f64)>;
/// A title and the named curves under it.
pub(crate) type Panel = (String, Vec<(String, Curve)>);

/// What runs along the panels.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    /// The text at a place.
    pub(crate) label: fn(f64) -> String,
}

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 300;
/// Pixels from one line of a legend to the next, and from its left edge to its text.
const LEGEND_LINE: i32 = 18;
const LEGEND_TEXT: i32 = 22;

/// Names that share a panel, by what they start with, with the panel's title.
const PANELS: [(&str, &str); 4] = [
    ("loss", "Loss by step size"),
    ("held_out", "On held-out images"),
    ("one_step_std", "Standard deviation of one-step latents"),
    ("mse", "Reconstruction error"),
];

impl Plot {
    /// Reads the metrics and writes the image.
    pub(crate) fn run(self) -> Result<()> {
        let curves = read_curves(&self.run_dir.join("metrics.jsonl"))?;
        let panels: Vec<Panel> = PANELS
            .iter()
            .map(|&(prefix, title)| {
                let of_panel = curves.iter().filter(|(name, _)| name.starts_with(prefix));
                let of_panel = of_panel.map(|(name, curve)| (name.clone(), smooth(curve)));
                (title.to_owned(), of_panel.collect())
            })
            .filter(|(_, curves): &Panel| !curves.is_empty())
            .collect();
        if panels.is_empty() {
            bail!("{}: no losses in metrics.jsonl yet", self.run_dir.display());
        }
        let output = self.output.unwrap_or_else(|| self.run_dir.join("curves.svg"));
        let axis = Axis { name: "step", label: |step| format!("{step:.0}") };
        draw_panels(&output, axis, &panels)?;
        writeln!(std::io::stdout(), "{}", output.display())?;
        Ok(())
    }
}

/// Draws panels below each other into an SVG file.
pub(crate) fn draw_panels(output: &Path, axis: Axis, panels: &[Panel]) -> Result<()> {
    let size = (WIDTH, PANEL_HEIGHT * panels.len() as u32);
    let root = SVGBackend::new(output, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        draw_panel(area, axis, panel)?;
    }
    root.present().with_context(|| format!("cannot write {}", output.display()))
}

/// All numbers of a metrics file by name, in the order of their steps.
pub(crate) fn read_curves(path: &Path) -> Result<BTreeMap<String, Curve>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!("cannot read {}; expected the folder of a training run", path.display())
    })?;
    let mut curves: BTreeMap<String, Curve> = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let values: Map<String, Value> = serde_json::from_str(line)
            .with_context(|| format!("{} line {}: not a JSON object", path.display(), index + 1))?;
        let Some(step) = values.get("step").and_then(Value::as_f64) else { continue };
        for (name, value) in values.iter().filter(|(name, _)| *name != "step") {
            if let Some(value) = value.as_f64().filter(|value| value.is_finite()) {
                curves.entry(name.clone()).or_default().push((step, value));
            }
        }
    }
    Ok(curves)
}

fn draw_panel<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    axis: Axis,
    panel: &Panel,
) -> Result<()>
where
    DB::ErrorType: 'static,
{
    let curves = &panel.1;
    let points = || curves.iter().flat_map(|(_, curve)| curve.iter());
    let last_step = points().map(|point| point.0).fold(1.0, f64::max);
    let largest = points().map(|point| point.1).fold(f64::MIN, f64::max);
    let smallest = points().map(|point| point.1).fold(f64::MAX, f64::min);
    // Losses span decades; values that touch zero or hardly vary are shown as they are.
    if smallest > 0.0 && largest > 5.0 * smallest {
        let range = (smallest * 0.8..largest * 1.25).log_scale();
        draw_curves(area, axis, panel, last_step, range)
    } else {
        let margin = (largest - smallest).max(1e-3) * 0.1;
        draw_curves(area, axis, panel, last_step, smallest - margin..largest + margin)
    }
}

fn draw_curves<DB: DrawingBackend, Y: AsRangedCoord<Value = f64>>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    axis: Axis,
    (title, curves): &Panel,
    last_step: f64,
    range: Y,
) -> Result<()>
where
    DB::ErrorType: 'static,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let (plot, legend) = area.split_horizontally(WIDTH - legend_width(curves));
    let mut chart = ChartBuilder::on(&plot)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last_step, range)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(axis.name)
        .x_label_formatter(&|place| (axis.label)(*place))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for (index, (name, curve)) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart.draw_series(LineSeries::new(curve.iter().copied(), color.stroke_width(2)))?;
        let y = LEGEND_LINE * (index as i32 + 2);
        legend.draw(&PathElement::new([(0, y), (16, y)], color.stroke_width(3)))?;
        legend.draw(&Text::new(name.as_str(), (LEGEND_TEXT, y - 6), ("sans-serif", 12)))?;
    }
    Ok(())
}

/// Pixels that the names of curves take, drawn beside the plot so that they hide nothing.
fn legend_width(curves: &[(String, Curve)]) -> u32 {
    const LETTER: usize = 7;
    let longest = curves.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    LEGEND_TEXT as u32 + (longest * LETTER) as u32
}

/// A number of an axis with three digits at most, without zeros at the end.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { 2.0 - value.abs().log10().floor() };
    let scale = 10f64.powf(digits);
    format!("{}", (value * scale).round() / scale)
}

/// Means over a moving window of a fortieth of the curve, so that noise does not hide the course.
pub(crate) fn smooth(curve: &Curve) -> Curve {
    let half = curve.len() / 80;
    let window =
        |index: usize| &curve[index.saturating_sub(half)..(index + half + 1).min(curve.len())];
    let mean =
        |points: &[(f64, f64)]| points.iter().map(|p| p.1).sum::<f64>() / points.len() as f64;
    curve.iter().enumerate().map(|(index, point)| (point.0, mean(window(index)))).collect()
}
