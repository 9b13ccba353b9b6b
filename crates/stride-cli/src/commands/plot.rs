//! `stride plot`: draws the curves of training runs, and reads them for reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use stride_eval::report::chart::{Axis, Chart, Line, Points, smooth, svg_file_with};
use stride_eval::report::heat_map::HeatMap;
use stride_files::write_whole;

use crate::terminal::print_json;
use crate::usage::usage;

/// Draw the curves of a training run, or compare those of several
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Folders of runs, with their metrics.jsonl
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// File to write: .svg, or .csv for the numbers themselves [default: curves.svg in the first folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Names that share a chart, by what they start with, with its title.
const CHARTS: [(&str, &str); 7] = [
    ("loss", "Loss by step size"),
    ("held_out", "On held-out images"),
    ("one_step_std", "Standard deviation of one-step latents"),
    ("mse", "Reconstruction error"),
    ("grad_norm/", "Norm of the gradient by part"),
    ("update_norm/", "Norm of an update by part"),
    ("weight_norm/", "Norm of the weights by part"),
];
/// Norms are of parts, which are not compared between runs.
const COMPARED: usize = 4;

type Curves = BTreeMap<String, Points>;

impl Plot {
    /// Reads the metrics and writes the file.
    pub(crate) fn run(self) -> Result<()> {
        let output = self.output.unwrap_or_else(|| self.runs[0].join("curves.svg"));
        let format =
            output.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !["svg", "csv"].contains(&format) {
            let path = output.display();
            return usage(format!("--output {path}: expected a name that ends in .svg or .csv"));
        }
        let mut runs = Vec::new();
        for (dir, name) in self.runs.iter().zip(names_of(&self.runs)) {
            let curves = read_curves(&dir.join("metrics.jsonl"))?;
            if !CHARTS.iter().any(|(prefix, _)| curves.keys().any(|key| key.starts_with(prefix))) {
                bail!("{}: no losses in metrics.jsonl yet", dir.display());
            }
            runs.push((name, curves));
        }
        let bytes = if format == "csv" {
            csv(&runs).into_bytes()
        } else {
            let (charts, maps) = match &runs[..] {
                [(_, curves)] => (charts_of(curves), heat_map(&self.runs[0])?),
                runs => (comparison(runs), None),
            };
            svg_file_with(&charts, maps.as_slice()).into_bytes()
        };
        write_whole(&output, &bytes)?;
        if self.json {
            let names: BTreeSet<&String> =
                runs.iter().flat_map(|(_, curves)| curves.keys()).collect();
            return print_json(&json!({ "file": output, "curves": names }));
        }
        writeln!(crate::terminal::stdout(), "{}", output.display())?;
        Ok(())
    }
}

/// The names of folders, with as much of their paths as tells them apart.
fn names_of(dirs: &[PathBuf]) -> Vec<String> {
    let last = |dir: &PathBuf| {
        dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.display().to_string())
    };
    let short: Vec<String> = dirs.iter().map(last).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let named = dirs.iter().zip(&short);
    named
        .map(|(dir, name)| if is_unique(name) { name.clone() } else { dir.display().to_string() })
        .collect()
}

fn charts_of(curves: &Curves) -> Vec<Chart> {
    let curves = curves.iter().map(|(name, points)| (name.clone(), smooth(points))).collect();
    let charts = CHARTS.iter().map(|(prefix, title)| Chart::over_training(title, &curves, prefix));
    charts.filter(|chart| !chart.is_empty()).collect()
}

/// A chart of every measure, with a curve for every run that has it.
fn comparison(runs: &[(String, Curves)]) -> Vec<Chart> {
    let is_compared =
        |name: &&String| CHARTS[..COMPARED].iter().any(|(prefix, _)| name.starts_with(prefix));
    let mut names: Vec<&String> =
        runs.iter().flat_map(|(_, curves)| curves.keys()).filter(is_compared).collect();
    names.sort_unstable();
    names.dedup();
    let chart = |name: &String| Chart {
        title: name.replace('_', " "),
        axis: Axis::TrainingSteps,
        lines: runs
            .iter()
            .filter_map(|(run, curves)| Some(Line::plain(run, smooth(curves.get(name)?))))
            .collect(),
        level: None,
    };
    names.into_iter().map(chart).collect()
}

/// One line for every run and step, one column for every name.
fn csv(runs: &[(String, Curves)]) -> String {
    let mut names: Vec<&String> = runs.iter().flat_map(|(_, curves)| curves.keys()).collect();
    names.sort_unstable();
    names.dedup();
    // Names of runs are those of folders, which may have commas and quotation marks.
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = String::from("run,step");
    names.iter().for_each(|name| write!(text, ",{}", quoted(name)).expect("a string grows"));
    text.push('\n');
    for (run, curves) in runs {
        let mut lines: BTreeMap<u64, BTreeMap<&String, f64>> = BTreeMap::new();
        for (name, points) in curves {
            for &(step, value) in points {
                lines.entry(step as u64).or_default().insert(name, value);
            }
        }
        for (step, values) in lines {
            write!(text, "{},{step}", quoted(run)).expect("a string grows");
            for name in &names {
                text.push(',');
                if let Some(value) = values.get(name) {
                    write!(text, "{value}").expect("a string grows");
                }
            }
            text.push('\n');
        }
    }
    text
}

/// The losses by time and step size of the last report that has them.
fn heat_map(run_dir: &Path) -> Result<Option<HeatMap>> {
    let path = run_dir.join("loss_map.csv");
    if !path.exists() {
        return Ok(None);
    }
    let text = stride_files::read_text_file(&path)?;
    let number = |field: &str| field.parse::<f64>().ok();
    let lines = text.lines().skip(1).enumerate().map(|(index, line)| {
        let fields: Option<Vec<f64>> = line.split(',').map(number).collect();
        match fields.as_deref() {
            Some(&[step, level, t, rows, loss]) => Ok([step, level, t, rows, loss]),
            _ => bail!("{} line {}: expected five numbers", path.display(), index + 2),
        }
    });
    let lines = lines.collect::<Result<Vec<_>>>()?;
    let Some(&[last, ..]) = lines.last() else { return Ok(None) };
    let mut levels = BTreeMap::new();
    for [step, level, t, _, loss] in lines {
        if step == last {
            let times = levels.entry(level as u32).or_insert_with(|| vec![None; 10]);
            if let Some(cell) = times.get_mut((t * 10.0) as usize) {
                *cell = Some(loss);
            }
        }
    }
    let name = |level: u32| {
        if level == 0 { "1".to_owned() } else { format!("1/{}", 1u64 << level.min(63)) }
    };
    Ok(Some(HeatMap {
        title: format!("Loss by step size d and time t before step {last}"),
        axis: "t, from noise to data".to_owned(),
        rows: levels.keys().map(|&level| name(level)).collect(),
        columns: (0..10).map(|tenth| format!("{:.1}", f64::from(tenth) / 10.0)).collect(),
        cells: levels.into_values().collect(),
    }))
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
