//! The loss curves of a training run.

use std::collections::BTreeMap;
use std::path::Path;

use stride_eval::report::chart::{Points, smooth};

use crate::commands::plot::read_curves;

/// Points of a curve in a report, at most.
const MOST_POINTS: usize = 240;

/// Losses on training and held-out images by name, thin enough for a page.
pub(super) fn read(run: &Path) -> anyhow::Result<BTreeMap<String, Points>> {
    let curves = read_curves(&run.join("metrics.jsonl"))?.into_iter();
    let is_loss = |name: &str| name.starts_with("loss") || name.starts_with("held_out");
    Ok(curves
        .filter(|(name, _)| is_loss(name))
        .map(|(name, curve)| (name, thin(&smooth(&curve))))
        .collect())
}

fn thin(curve: &Points) -> Points {
    let every = curve.len().div_ceil(MOST_POINTS).max(1);
    curve.iter().copied().step_by(every).collect()
}
