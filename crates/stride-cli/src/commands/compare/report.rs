//! The report of a comparison: JSON, Markdown and curves.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use super::Compare;
use super::evaluation::{Evaluator, RealPictures, STEP_COUNTS, StepResult};
use super::pictures::{PROMPTS, STRIP_STEPS};
use super::plan::{Plan, Side};
use crate::commands::plot::{Curve, draw_panels};
use crate::output::write_whole;

/// What a comparison found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    passes: u64,
    samples: usize,
    features: String,
    real_pictures: RealPictures,
    /// The objective that costs least per row, to which the others' costs are related.
    cheapest: String,
    runs: Vec<Run>,
}

/// One side.
#[derive(Debug, Serialize)]
struct Run {
    name: String,
    objective: String,
    settings: Value,
    seed: u64,
    steps: u64,
    rows: u64,
    passes_per_row: f64,
    /// Milliseconds of training per row: the median over the run.
    milliseconds_per_row: Option<f64>,
    results: Vec<StepResult>,
}

impl Report {
    pub(super) fn new(arguments: &Compare, plan: &Plan, evaluator: &Evaluator) -> Self {
        let cheapest =
            plan.sides.iter().min_by(|a, b| a.passes_per_row.total_cmp(&b.passes_per_row));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            passes: arguments.passes,
            samples: arguments.samples,
            features: evaluator.features().to_owned(),
            real_pictures: evaluator.real().clone(),
            cheapest: cheapest.map_or_else(String::new, |side| side.objective.clone()),
            runs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, side: &Side, results: Vec<StepResult>) -> Result<()> {
        self.runs.push(Run {
            name: side.name.clone(),
            objective: side.objective.clone(),
            settings: serde_json::to_value(&side.dit().objective)?,
            seed: side.config.seed,
            steps: side.steps,
            rows: side.steps * side.dit().batch_size as u64,
            passes_per_row: side.passes_per_row,
            milliseconds_per_row: milliseconds_per_row(&side.config.run_dir)?,
            results,
        });
        Ok(())
    }

    /// Writes `report.json`, `report.md` and `curves.svg`, and prints the table.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        write_whole(&out.join("report.json"), &serde_json::to_vec_pretty(self)?)?;
        let curves: Vec<(&str, Curve)> = self
            .runs
            .iter()
            .map(|run| {
                let point =
                    |result: &StepResult| ((result.steps as f64).log2(), result.frechet_distance);
                (run.name.as_str(), run.results.iter().map(point).collect())
            })
            .collect();
        let curves: Vec<(&str, &Curve)> =
            curves.iter().map(|(name, curve)| (*name, curve)).collect();
        let shares: Vec<(&str, Curve)> = self
            .runs
            .iter()
            .map(|run| {
                let point = |result: &StepResult| {
                    let (share, _) = result.accuracy.total().share()?;
                    Some(((result.steps as f64).log2(), share))
                };
                (run.name.as_str(), run.results.iter().filter_map(point).collect())
            })
            .collect();
        let shares: Vec<(&str, &Curve)> =
            shares.iter().map(|(name, curve)| (*name, curve)).collect();
        let mut panels =
            vec![("Frechet distance by the logarithm (base 2) of the number of steps", curves)];
        if self.names_attributes() {
            panels.push(("Attribute accuracy by the same", shares));
        }
        draw_panels(&out.join("curves.svg"), "log2 of steps", &panels)?;
        let text = self.markdown();
        write_whole(&out.join("report.md"), text.as_bytes())?;
        write!(std::io::stdout(), "{text}")?;
        Ok(())
    }

    /// Whether there is an attribute accuracy.
    fn names_attributes(&self) -> bool {
        self.real_pictures.accuracy.total().named > 0
    }

    /// A row a run with a cell for every step count.
    fn rows(&self, text: &mut String, cell: impl Fn(&StepResult) -> String) {
        for run in &self.runs {
            let _ = write!(text, "| {} |", run.name);
            for steps in STEP_COUNTS {
                let result = run.results.iter().find(|result| result.steps == steps);
                let _ = write!(text, " {} |", result.map_or_else(String::new, &cell));
            }
            text.push('\n');
        }
    }

    fn markdown(&self) -> String {
        let mut text = String::from("# Objectives side by side\n\n");
        let steps = STEP_COUNTS.map(|steps| steps.to_string()).join(" | ");
        let strip = STRIP_STEPS.map(|steps| steps.to_string()).join(", ");
        let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
        let names = names.join(", ");
        let _ = write!(
            text,
            "Every run spent {} passes of the network: three a trained row, and one a row for what \
             the objective asks its teacher.\n\n\
             ## Frechet distance by number of steps\n\n\
             On features of the {}, of {} pictures; only numbers of the same features compare. \
             Real pictures come to {:.3}.\n\n\
             | run | {steps} |\n|---|{}\n",
            self.passes,
            self.features,
            self.samples,
            self.real_pictures.frechet_distance,
            "---|".repeat(STEP_COUNTS.len()),
        );
        self.rows(&mut text, |result| format!("{:.3}", result.frechet_distance));
        if let Some((real, _)) = self.real_pictures.accuracy.total().share() {
            let _ = write!(
                text,
                "\n## Attribute accuracy by number of steps\n\n\
                 The share of the attributes named by the captions that the classifier sees in the pictures, \
                 in percent with its standard error. Real pictures come to {:.1}.\n\n\
                 | run | {steps} |\n|---|{}\n",
                100.0 * real,
                "---|".repeat(STEP_COUNTS.len()),
            );
            self.rows(&mut text, |result| match result.accuracy.total().share() {
                Some((share, error)) => format!("{:.1} ± {:.1}", 100.0 * share, 100.0 * error),
                None => String::new(),
            });
        }
        let _ = write!(
            text,
            "\n## Cost of training\n\n\
             Relative to {}; the time is the median over a run and means something only if \
             nothing else ran.\n\n\
             | run | steps | rows | passes a row | relative | ms a row | relative |\n\
             |---|---|---|---|---|---|---|\n",
            self.cheapest
        );
        let base = self.runs.iter().find(|run| run.objective == self.cheapest);
        for run in &self.runs {
            let relative = |value: Option<f64>, of: Option<f64>| match (value, of) {
                (Some(value), Some(of)) => format!("{:+.1} %", (value / of - 1.0) * 100.0),
                _ => String::new(),
            };
            let passes = base.map(|base| base.passes_per_row);
            let time = base.and_then(|base| base.milliseconds_per_row);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.3} | {} | {} | {} |",
                run.name,
                run.steps,
                run.rows,
                run.passes_per_row,
                relative(Some(run.passes_per_row), passes),
                run.milliseconds_per_row.map_or_else(String::new, |time| format!("{time:.2}")),
                relative(run.milliseconds_per_row, time),
            );
        }
        let _ = write!(
            text,
            "\n## Pictures\n\n\
             Rows from top to bottom: {names}. Columns: {}, with seeds 0 to {}.\n\n",
            PROMPTS.join("; "),
            PROMPTS.len() - 1,
        );
        for steps in STEP_COUNTS {
            let _ = writeln!(text, "{steps} steps:\n\n![{steps} steps](sheet-{steps}.png)\n");
        }
        let _ = write!(
            text,
            "From noise to picture in {strip} steps, three rows a run:\n\n![strips](strips.png)\n\n\
             ![curves](curves.svg)\n"
        );
        text
    }
}

/// Milliseconds per row, from the median of the speeds a run recorded.
fn milliseconds_per_row(run_dir: &Path) -> Result<Option<f64>> {
    let path = run_dir.join("metrics.jsonl");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut speeds: Vec<f64> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line["rows_per_second"].as_f64())
        .filter(|speed| *speed > 0.0)
        .collect();
    speeds.sort_unstable_by(f64::total_cmp);
    Ok(speeds.get(speeds.len() / 2).map(|speed| 1e3 / speed))
}
