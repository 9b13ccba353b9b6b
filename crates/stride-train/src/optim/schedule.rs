//! How long a run lasts and what the learning rate is on the way.

use serde::{Deserialize, Serialize};

use crate::error::check;

/// The length of a run.
///
/// Steps alone drive what changes over a run, learning rate and phases of the objective, so that a busy machine trains
/// the same model, only later. Seconds are an upper bound: a run that reaches it ends there, with a model, wherever its
/// schedule is. They include reports and checkpoints and go on counting after a resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Steps. Absent where `max_epochs` tells them, and in runs that were begun when seconds alone could be a budget.
    pub max_steps: Option<u64>,
    /// Passes over the training images: as many steps as show so many rows, but no more than `max_steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_epochs: Option<f64>,
    /// Seconds of training, at most; any number if absent.
    pub max_seconds: Option<f64>,
}

impl Budget {
    /// The same with epochs as a number of steps.
    pub(crate) fn in_steps(self, rows_per_epoch: usize, batch_size: usize) -> Self {
        let of_epochs = self.max_epochs.map(|epochs| {
            let steps = epochs * rows_per_epoch as f64 / batch_size as f64;
            (steps.ceil() as u64).max(1)
        });
        let fewer = self.max_steps.zip(of_epochs).map(|(steps, of_epochs)| steps.min(of_epochs));
        Self { max_steps: fewer.or(self.max_steps).or(of_epochs), ..self }
    }

    /// Whether it tells a number of steps.
    pub(crate) fn has_steps(&self) -> bool {
        self.max_steps.is_some() || self.max_epochs.is_some()
    }

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

/// Learning rate over a run: linear warm-up, constant, and a fall at the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LrSchedule {
    /// Steps over which the rate grows from zero.
    pub warmup_steps: u64,
    /// How it falls.
    #[serde(skip_serializing_if = "ScheduleKind::is_default")]
    pub kind: ScheduleKind,
    /// Fraction of the run, at its end, over which it falls; 1 is the whole run.
    pub decay_fraction: f64,
    /// Where it falls to, as a factor.
    #[serde(skip_serializing_if = "is_zero")]
    pub final_factor: f64,
}

/// How a learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Not at all.
    Constant,
    /// In a straight line.
    #[default]
    Linear,
    /// As half a wave of a cosine.
    Cosine,
}

impl ScheduleKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for LrSchedule {
    fn default() -> Self {
        Self {
            warmup_steps: 50,
            kind: ScheduleKind::Linear,
            decay_fraction: 0.4,
            final_factor: 0.0,
        }
    }
}

impl LrSchedule {
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (field, value) in [
            ("training.schedule.decay_fraction", self.decay_fraction),
            ("training.schedule.final_factor", self.final_factor),
        ] {
            check((0.0..=1.0).contains(&value), field, &format!("in [0, 1], found {value}"))?;
        }
        Ok(())
    }

    /// The factor on the learning rate at `step` (from 0) with the given fraction of the run behind it.
    ///
    /// `min(1, (step + 1) / warmup_steps) * (f + (1 - f) g(x))` with `f = final_factor`,
    /// `x = min(1, (1 - fraction) / decay_fraction)`, and `g(x)` is 1 (constant), `x` (linear) or `(1 - cos(pi x)) / 2`
    /// (cosine).
    pub fn factor(&self, step: u64, fraction: f64) -> f64 {
        let warmup = ((step + 1) as f64 / self.warmup_steps.max(1) as f64).min(1.0);
        let left = if self.decay_fraction > 0.0 {
            ((1.0 - fraction) / self.decay_fraction).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let decay = match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => left,
            ScheduleKind::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * left).cos(),
        };
        warmup * (self.final_factor + (1.0 - self.final_factor) * decay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_never_change_the_number_of_steps() {
        let steps = Budget { max_steps: Some(100), max_epochs: None, max_seconds: Some(10.0) };
        assert_eq!((steps.steps(0, 0.0), steps.steps(50, 9.0)), (Some(100), Some(100)));
        assert_eq!(steps.seconds_bound(), Some(10.0));
        // A quarter of the seconds made 30 steps.
        let seconds = Budget { max_steps: None, ..steps };
        assert_eq!((seconds.steps(30, 2.5), seconds.steps(0, 0.0)), (Some(120), None));
        assert_eq!(seconds.seconds_bound(), None);
    }

    #[test]
    fn warm_up_then_constant_then_decay() {
        let schedule = LrSchedule { warmup_steps: 10, ..LrSchedule::default() };
        assert_eq!(schedule.factor(0, 0.0), 0.1);
        assert_eq!(schedule.factor(9, 0.1), 1.0);
        assert_eq!(schedule.factor(50, 0.6), 1.0);
        assert!((schedule.factor(80, 0.8) - 0.5).abs() < 1e-12);
        assert_eq!(schedule.factor(100, 1.0), 0.0);
    }
    #[test]
    fn schedules_fall_as_their_names_say() {
        let of = |kind, final_factor| LrSchedule {
            warmup_steps: 0,
            kind,
            decay_fraction: 1.0,
            final_factor,
        };
        let at = |schedule: LrSchedule| [0.0, 0.25, 0.5, 1.0].map(|x| schedule.factor(7, x));
        let close = |found: [f64; 4], expected: [f64; 4]| {
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
            }
        };
        close(at(of(ScheduleKind::Constant, 0.0)), [1.0; 4]);
        close(at(of(ScheduleKind::Linear, 0.2)), [1.0, 0.8, 0.6, 0.2]);
        // As `torch.optim.lr_scheduler.CosineAnnealingLR`: (1 + cos(pi fraction)) / 2.
        let quarter = (1.0 + 0.5f64.sqrt()) / 2.0;
        close(at(of(ScheduleKind::Cosine, 0.0)), [1.0, quarter, 0.5, 0.0]);
    }

    #[test]
    fn epochs_are_steps_that_show_as_many_rows() {
        let budget = |max_steps, max_epochs| Budget { max_steps, max_epochs, max_seconds: None };
        let steps = |budget: Budget| budget.in_steps(100, 8).max_steps;
        assert_eq!(steps(budget(None, Some(2.0))), Some(25));
        assert_eq!(steps(budget(None, Some(0.5))), Some(7));
        assert_eq!(steps(budget(Some(10), Some(2.0))), Some(10));
        assert_eq!(steps(budget(Some(30), Some(2.0))), Some(25));
        assert_eq!(steps(budget(None, None)), None);
    }
}
