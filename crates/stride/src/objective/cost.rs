//! What an objective costs, in passes of the network.

use std::cell::Cell;

use burn::tensor::{Device, Tensor};

use super::{Batch, Objective};
use crate::noise::{keyed_rng, purpose};

/// A trained row costs three forward passes: one, and a backward pass of two.
const STUDENT_PASSES: f64 = 3.0;
/// Points of a run at which batches are planned.
const POINTS: u64 = 140;

/// Forward passes of the network per row of training, averaged over a run: three for the row
/// itself, and what the objective asks its teacher, counted on planned batches.
///
/// # Source
/// The accounting of the shortcut paper (arXiv 2410.12557, section 4): 16 % above flow matching
/// for a quarter of self-consistency rows, here (3 + 2/4) / 3.
pub fn passes_per_row(objective: &dyn Objective, batch_size: usize) -> f64 {
    let device = Device::flex();
    let asked = Cell::new(0usize);
    for point in 0..POINTS {
        let mut rngs: Vec<_> = (0..batch_size as u64)
            .map(|row| keyed_rng(0, purpose::TRAINING_ROW, point, row))
            .collect();
        let progress = (point as f64 + 0.5) / POINTS as f64;
        let rows = objective.plan_rows(progress, &mut rngs);
        let zeros = || Tensor::<4>::zeros([batch_size, 1, 1, 1], &device);
        let batch = Batch { rows: &rows, progress, x_0: zeros(), x_1: zeros() };
        objective.targets(batch, &|input, _| {
            asked.set(asked.get() + input.x_t.dims()[0]);
            input.x_t
        });
    }
    STUDENT_PASSES + asked.get() as f64 / (POINTS as f64 * batch_size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{
        ConsistencyConfig, DataAnchoredConfig, FlowMatchingConfig, ShortcutConfig, TargetGuidance,
    };

    #[test]
    fn overheads_are_those_of_the_literature() {
        let overhead = |objective: &dyn Objective| passes_per_row(objective, 64) / 3.0 - 1.0;
        assert_eq!(overhead(&FlowMatchingConfig::default()), 0.0);
        for (bootstrap_share, expected) in [(0.125, 1.0 / 12.0), (0.25, 1.0 / 6.0), (0.75, 0.5)] {
            let config = ShortcutConfig { bootstrap_share, ..Default::default() };
            assert!((overhead(&config) - expected).abs() < 1e-9, "{bootstrap_share}");
        }
        // Guidance doubles what is asked of the finest level, but whole batches are asked.
        let guided = ShortcutConfig { guidance_scale: 2.0, ..Default::default() };
        assert!((overhead(&guided) - 1.0 / 3.0).abs() < 1e-9);
        let anchored = DataAnchoredConfig::default();
        assert!((overhead(&anchored) - 1.0 / 12.0).abs() < 1e-9);
        let guidance = Some(TargetGuidance { scale: 2.0, mix: 0.0, fade_time: 0.1 });
        let anchored = DataAnchoredConfig { guidance, ..anchored };
        assert!((overhead(&anchored) - 0.25).abs() < 1e-9);
        // The gap h leaves a share h of the rows without teacher: 1, 1/2, ... 1/64.
        let expected = (7.0 - (2.0 - 1.0 / 64.0)) / 7.0 / 3.0;
        let found = overhead(&ConsistencyConfig::default());
        assert!((found - expected).abs() < 0.01, "{found} {expected}");
    }
}
