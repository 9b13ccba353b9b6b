//! `stride plot`: draws the curves of a training run, and reads them for reports.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use stride_eval::report::chart::{Chart, Points, smooth, svg_file};
use stride_files::write_whole;

use crate::terminal::print_json;

/// Draw the loss curves of a training run as an SVG image
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Folder of the run, with its metrics.jsonl
    run_dir: PathBuf,
    /// SVG file to write [default: RUN_DIR/curves.svg]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Names that share a chart, by what they start with, with its title.
const CHARTS: [(&str, &str); 4] = [
    ("loss", "Loss by step size"),
    ("held_out", "On held-out images"),
    ("one_step_std", "Standard deviation of one-step latents"),
    ("mse", "Reconstruction error"),
];

impl Plot {
    /// Reads the metrics and writes the image.
    pub(crate) fn run(self) -> Result<()> {
        let curves = read_curves(&self.run_dir.join("metrics.jsonl"))?;
        let names: Vec<String> = curves.keys().cloned().collect();
        let curves = curves.into_iter().map(|(name, points)| (name, smooth(&points))).collect();
        let charts: Vec<Chart> = CHARTS
            .iter()
            .map(|(prefix, title)| Chart::over_training(title, &curves, prefix))
            .filter(|chart| !chart.is_empty())
            .collect();
        if charts.is_empty() {
            bail!("{}: no losses in metrics.jsonl yet", self.run_dir.display());
        }
        let output = self.output.unwrap_or_else(|| self.run_dir.join("curves.svg"));
        write_whole(&output, svg_file(&charts).as_bytes())?;
        if self.json {
            return print_json(&json!({ "file": output, "curves": names }));
        }
        writeln!(crate::terminal::stdout(), "{}", output.display())?;
        Ok(())
    }
}

/// All numbers of a metrics file by name, in the order of their steps.
pub(crate) fn read_curves(path: &Path) -> Result<BTreeMap<String, Points>> {
    let text = stride_files::read_text_file(path).with_context(|| {
        format!("cannot read {}; expected the folder of a training run", path.display())
    })?;
    let mut curves: BTreeMap<String, Points> = BTreeMap::new();
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
