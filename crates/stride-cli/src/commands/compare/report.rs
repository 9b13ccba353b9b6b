//! From the sides of a comparison to its report.

use anyhow::Result;
use stride::objective::ObjectiveConfig;
use stride_eval::comparison::{StepEvaluator, StepResult};
use stride_eval::report::chart::Points;
use stride_eval::report::comparison::{ComparedRun, ComparisonReport};

use super::plan::{Plan, Side};
use crate::commands::plot::read_curves;

/// A report without runs.
pub(super) fn empty(
    passes: u64,
    samples: usize,
    plan: &Plan,
    evaluator: &StepEvaluator,
) -> ComparisonReport {
    let is_flow = |side: &&Side| matches!(side.dit().objective, ObjectiveConfig::FlowMatching(_));
    let by_cost = |a: &&Side, b: &&Side| a.passes_per_row.total_cmp(&b.passes_per_row);
    // Costs are related to flow matching, or to the objective that costs least.
    let base = plan.sides.iter().find(is_flow).or(plan.sides.iter().min_by(by_cost));
    ComparisonReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        passes,
        samples,
        features: evaluator.features().to_owned(),
        real_images: evaluator.real().clone(),
        base: base.map_or_else(String::new, |side| side.objective.clone()),
        runs: Vec::new(),
    }
}

/// A side with its results and what its training recorded.
pub(super) fn run(side: &Side, results: Vec<StepResult>) -> Result<ComparedRun> {
    let mut curves = read_curves(&side.config.run_dir.join("metrics.jsonl"))?;
    let speeds = curves.remove("rows_per_second").unwrap_or_default();
    Ok(ComparedRun {
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
    })
}

/// The median of the speeds that a run recorded.
fn median(speeds: Points) -> Option<f64> {
    let mut speeds: Vec<f64> = speeds.into_iter().map(|(_, speed)| speed).collect();
    speeds.retain(|speed| *speed > 0.0);
    speeds.sort_unstable_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied()
}
