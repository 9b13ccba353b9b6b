//! Steps that would spoil the weights are not made.

use serde::{Deserialize, Serialize};

use crate::error::check;

/// Which steps are left out.
///
/// A step whose loss or gradient is not finite leaves weights, moments and averages as they were; its samples are named
/// and the run goes on to the next rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Steps that are left out one after the other until the run ends with an error.
    pub max_skipped: u64,
    /// A step is left out, too, where the norm of its gradient is more than so many times the average norm of the steps
    /// before it; none is if absent.
    pub spike_factor: Option<f64>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self { max_skipped: 10, spike_factor: None }
    }
}

/// Norms that the average looks back on.
const WINDOW: u64 = 100;
/// Norms that make an average to judge by.
const FEWEST: u64 = 20;

/// What a guard remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardState {
    /// Steps left out since the last one that was made.
    pub skipped_in_a_row: u64,
    /// Norms in the average.
    norms: u64,
    norm_average: f64,
}

impl GuardConfig {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        check(self.max_skipped > 0, "training.guard.max_skipped", "at least 1")?;
        let fits = self.spike_factor.is_none_or(|factor| factor > 1.0);
        check(fits, "training.guard.spike_factor", "more than 1")
    }
}

/// Why a step is left out.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// A loss or the norm of the gradient is not finite.
    NotFinite(&'static str, f64),
    /// The norm of the gradient, and the average before it.
    Spike(f64, f64),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFinite(what, value) => write!(f, "{what} is {value}"),
            Self::Spike(norm, average) => {
                write!(f, "grad_norm is {norm:.3}, {:.1} times its average", norm / average)
            }
        }
    }
}

impl GuardState {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Looks at the losses and the norm of a step, and remembers them.
    pub(super) fn judge(
        &mut self,
        config: &GuardConfig,
        losses: &[(&'static str, f64)],
        norm: f64,
    ) -> Option<Fault> {
        let norms = [("grad_norm", norm)];
        let not_finite = losses.iter().chain(&norms).find(|(_, value)| !value.is_finite());
        let not_finite = not_finite.map(|&(what, value)| Fault::NotFinite(what, value));
        let average = self.norm_average;
        let is_spike = |factor: f64| self.norms >= FEWEST && norm > factor * average;
        let spike =
            || config.spike_factor.is_some_and(is_spike).then_some(Fault::Spike(norm, average));
        let fault = not_finite.or_else(spike);
        if fault.is_some() {
            self.skipped_in_a_row += 1;
            return fault;
        }
        self.skipped_in_a_row = 0;
        if config.spike_factor.is_some() {
            self.norms = (self.norms + 1).min(WINDOW);
            self.norm_average += (norm - average) / self.norms as f64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_stands_out_from_the_norms_before_it() {
        let config = GuardConfig { spike_factor: Some(3.0), ..GuardConfig::default() };
        let mut state = GuardState::default();
        let mut judge = |norm| state.judge(&config, &[("loss", 1.0)], norm);
        assert_eq!(judge(100.0), None, "nothing to compare with");
        for k in 0..200 {
            assert_eq!(judge(1.0 + f64::from(k % 3)), None);
        }
        assert!(matches!(judge(9.0), Some(Fault::Spike(..))));
        assert_eq!(judge(4.0), None, "what was left out is not in the average");
        assert!(matches!(judge(f64::INFINITY), Some(Fault::NotFinite("grad_norm", _))));
        assert!(judge(9.0).is_some());
        assert_eq!(state.skipped_in_a_row, 2);
        let without = GuardConfig::default();
        assert_eq!(state.judge(&without, &[], 1e9), None);
        assert!(state.judge(&without, &[("loss", f64::NAN)], 1.0).is_some());
    }
}
