//! The report of a comparison: a page, Markdown and JSON.

mod markdown;
mod page;
mod summary;

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use stride::objective::ObjectiveConfig;
use stride_eval::comparison::{Quality, StepEvaluator, StepResult};
use stride_eval::report::chart::{Points, svg_file};

use super::Compare;
use super::gallery::Gallery;
use super::plan::{Plan, Side};
use crate::commands::plot::read_curves;
use crate::output::write_whole;
use summary::{Group, MEASURES, Measure, readable};

/// What a comparison found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    passes: u64,
    samples: usize,
    features: String,
    #[serde(rename = "real_pictures")]
    real_images: Quality,
    /// The objective to whose cost the others' are related: flow matching, or the one that costs least a row.
    base: String,
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
    /// The loss by step.
    #[serde(skip)]
    loss: Points,
    results: Vec<StepResult>,
}

impl Report {
    pub(super) fn new(arguments: &Compare, plan: &Plan, evaluator: &StepEvaluator) -> Self {
        let is_flow =
            |side: &&Side| matches!(side.dit().objective, ObjectiveConfig::FlowMatching(_));
        let by_cost = |a: &&Side, b: &&Side| a.passes_per_row.total_cmp(&b.passes_per_row);
        let base = plan.sides.iter().find(is_flow).or(plan.sides.iter().min_by(by_cost));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            passes: arguments.passes,
            samples: arguments.samples,
            features: evaluator.features().to_owned(),
            real_images: evaluator.real().clone(),
            base: base.map_or_else(String::new, |side| side.objective.clone()),
            runs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, side: &Side, results: Vec<StepResult>) -> Result<()> {
        let mut curves = read_curves(&side.config.run_dir.join("metrics.jsonl"))?;
        let speeds = curves.remove("rows_per_second").unwrap_or_default();
        self.runs.push(Run {
            name: side.name.clone(),
            objective: side.objective.clone(),
            settings: serde_json::to_value(&side.dit().objective)?,
            seed: side.config.seed,
            steps: side.steps,
            rows: side.steps * side.dit().batch_size as u64,
            passes_per_row: side.passes_per_row,
            milliseconds_per_row: median(speeds).map(|speed| 1e3 / speed),
            loss: curves.remove("loss").unwrap_or_default(),
            results,
        });
        Ok(())
    }

    /// Writes `report.html`, which needs no other file, `report.md` with its images, and `report.json`; prints the
    /// tables.
    pub(super) fn write(&self, out: &Path, gallery: &Gallery) -> Result<()> {
        let groups = Group::of(self);
        let chart = |(measure, real)| page::chart(&groups, measure, real);
        let curves = svg_file(&self.measures().map(chart).collect::<Vec<_>>());
        for (name, bytes) in [
            ("report.json", serde_json::to_vec_pretty(self)?),
            ("report.html", page::html(self, &groups, gallery).into_bytes()),
            ("report.md", markdown::with_images(self, &groups).into_bytes()),
            ("curves.svg", curves.into_bytes()),
            ("steps.jpg", gallery.sheet()?),
        ] {
            write_whole(&out.join(name), &bytes)?;
        }
        write!(std::io::stdout(), "{}", markdown::tables(self, &groups))?;
        Ok(())
    }

    /// What was measured, with the score of real images.
    fn measures(&self) -> impl Iterator<Item = (Measure, f64)> {
        let real = |measure: Measure| Some((measure, (measure.value)(&self.real_images)?));
        MEASURES.into_iter().filter_map(real)
    }

    /// One paragraph on what was done.
    fn summary(&self) -> String {
        format!(
            "Every run spent {} passes of the network: three per trained row, and one per row for every question to the \
             objective's teacher. {} images for each step count from the same captions and noise, without guidance; \
             features of the {}. Where an objective has several seeds, the mean and the range are given.",
            self.passes, self.samples, self.features
        )
    }

    /// What the table of costs says.
    fn about_costs(&self) -> String {
        format!(
            "Relative to {}. The time is the median over a run; it is meaningful only if nothing else ran at that time.",
            readable(&self.base)
        )
    }

    /// The cost of every objective: rows of text under [`COST_COLUMNS`].
    fn costs(&self, groups: &[Group<'_>]) -> Vec<Vec<String>> {
        let time = |group: &Group<'_>| Some(group.over_runs(|run| run.milliseconds_per_row)?.mean);
        let passes = |group: &Group<'_>| group.runs[0].passes_per_row;
        let base = groups.iter().find(|group| group.objective == self.base);
        let relative = |value: f64, of: f64| format!("{:+.1} %", (value / of - 1.0) * 1e2);
        let row = |group: &Group<'_>| {
            let (run, time_of_base) = (group.runs[0], base.and_then(time));
            let relative_time = time(group).zip(time_of_base).map(|(time, of)| relative(time, of));
            vec![
                group.name(),
                group.runs.len().to_string(),
                run.steps.to_string(),
                run.rows.to_string(),
                format!("{:.2}", passes(group)),
                base.map_or_else(String::new, |base| relative(passes(group), passes(base))),
                time(group).map_or_else(String::new, |time| format!("{time:.1}")),
                relative_time.unwrap_or_default(),
            ]
        };
        groups.iter().map(row).collect()
    }
}

/// Columns of the table of costs.
const COST_COLUMNS: [&str; 8] =
    ["objective", "seeds", "steps", "rows", "passes per row", "relative", "ms per row", "relative"];

/// The median of the speeds that a run recorded.
fn median(speeds: Points) -> Option<f64> {
    let mut speeds: Vec<f64> = speeds.into_iter().map(|(_, speed)| speed).collect();
    speeds.retain(|speed| *speed > 0.0);
    speeds.sort_unstable_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}
