//! How long a run lasts and what the learning rate is on the way.

use serde::{Deserialize, Serialize};

/// The length of a run: it ends at whichever bound comes first.
///
/// Elapsed seconds include reports and checkpoints and go on counting after a resume. A run bounded by time
/// follows the clock, so only a run bounded by steps alone is the same run every time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Optimiser steps.
    pub max_steps: Option<u64>,
    /// Seconds of training.
    pub max_seconds: Option<f64>,
}

impl Budget {
    /// The fraction of the budget that is used, in [0, 1].
    pub fn fraction(&self, step: u64, elapsed_seconds: f64) -> f64 {
        let by_steps = self.max_steps.map_or(0.0, |max| step as f64 / max.max(1) as f64);
        let by_time = self.max_seconds.map_or(0.0, |max| elapsed_seconds / max);
        by_steps.max(by_time).clamp(0.0, 1.0)
    }
}

/// Learning rate over a run: linear warm-up, constant, linear decay to zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LrSchedule {
    /// Steps over which the rate grows from zero.
    pub warmup_steps: u64,
    /// Fraction of the run, at its end, over which the rate falls to zero.
    pub decay_fraction: f64,
}

impl Default for LrSchedule {
    fn default() -> Self {
        Self { warmup_steps: 50, decay_fraction: 0.4 }
    }
}

impl LrSchedule {
    /// The factor on the learning rate at `step` (from 0) with the given fraction of the run used.
    ///
    /// `min(1, (step + 1) / warmup_steps) * min(1, (1 - fraction) / decay_fraction)`.
    pub fn factor(&self, step: u64, fraction: f64) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        let decay = if self.decay_fraction > 0.0 {
            ((1.0 - fraction) / self.decay_fraction).clamp(0.0, 1.0)
        } else {
            1.0
        };
        warmup * decay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_bound_rules() {
        let budget = Budget { max_steps: Some(100), max_seconds: Some(10.0) };
        assert_eq!(budget.fraction(50, 1.0), 0.5);
        assert_eq!(budget.fraction(50, 9.0), 0.9);
        assert_eq!(budget.fraction(200, 1.0), 1.0);
        assert_eq!(Budget::default().fraction(7, 7.0), 0.0);
    }

    #[test]
    fn warm_up_then_constant_then_decay() {
        let schedule = LrSchedule { warmup_steps: 10, decay_fraction: 0.4 };
        assert_eq!(schedule.factor(0, 0.0), 0.1);
        assert_eq!(schedule.factor(9, 0.1), 1.0);
        assert_eq!(schedule.factor(50, 0.6), 1.0);
        assert!((schedule.factor(80, 0.8) - 0.5).abs() < 1e-12);
        assert_eq!(schedule.factor(100, 1.0), 0.0);
    }
}
