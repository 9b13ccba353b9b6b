//! How long a run lasts and what the learning rate is on the way.

use serde::{Deserialize, Serialize};

/// The length of a run.
///
/// Steps alone drive what changes over a run, learning rate and phases of the objective, so that a busy machine trains
/// the same model, only later. Seconds are an upper bound: a run that reaches it ends there, with a model, wherever its
/// schedule is. They include reports and checkpoints and go on counting after a resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Optimizer steps. Absent only in runs that were begun when seconds alone could be a budget.
    pub max_steps: Option<u64>,
    /// Seconds of training, at most; any number if absent.
    pub max_seconds: Option<f64>,
}

impl Budget {
    /// Steps of the whole run, given the steps made and the seconds they took.
    ///
    /// A run that was begun with a budget of seconds alone goes on to as many steps as its seconds hold at the speed so
    /// far, which leaves its schedule where it was. A new one has no such number.
    pub(crate) fn steps(&self, step: u64, elapsed_seconds: f64) -> Option<u64> {
        let at_this_speed = || {
            let total = self.max_seconds? / elapsed_seconds * step as f64;
            (step > 0 && elapsed_seconds > 0.0).then_some(total.round() as u64)
        };
        self.max_steps.or_else(at_this_speed)
    }

    /// The seconds that end a run; none where they only stand for a number of steps.
    pub(crate) fn seconds_bound(&self) -> Option<f64> {
        self.max_steps.and(self.max_seconds)
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
    /// The factor on the learning rate at `step` (from 0) with the given fraction of the run behind it.
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
    fn seconds_never_change_the_number_of_steps() {
        let steps = Budget { max_steps: Some(100), max_seconds: Some(10.0) };
        assert_eq!((steps.steps(0, 0.0), steps.steps(50, 9.0)), (Some(100), Some(100)));
        assert_eq!(steps.seconds_bound(), Some(10.0));
        // A quarter of the seconds made 30 steps.
        let seconds = Budget { max_steps: None, ..steps };
        assert_eq!((seconds.steps(30, 2.5), seconds.steps(0, 0.0)), (Some(120), None));
        assert_eq!(seconds.seconds_bound(), None);
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
