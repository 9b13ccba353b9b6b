//! How the times of training rows are drawn.

use serde::{Deserialize, Serialize};

use super::BASE_STEPS;
use super::error::{ObjectiveError, check_positive, check_shares};
use crate::noise::{self, ChaCha8Rng};

/// The distribution of t on flow-matching rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FlowTime {
    /// Uniform on the grid {0, 1/128, ..., 127/128}.
    #[default]
    Grid,
    /// sigmoid(N(mean, std)), with a share of uniform draws from [0, 1) that keeps the ends.
    LogitNormal {
        /// Mean of the normal; negative leans towards noise.
        mean: f64,
        /// Its standard deviation.
        std: f64,
        /// Share of the rows drawn uniformly instead.
        uniform_share: f64,
    },
}

impl FlowTime {
    /// Draws t in [0, 1).
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> f64 {
        match *self {
            Self::Grid => noise::below(rng, BASE_STEPS) as f64 / BASE_STEPS as f64,
            Self::LogitNormal { mean, std, uniform_share } => {
                if noise::uniform(rng) < uniform_share {
                    noise::uniform(rng)
                } else {
                    draw_sigmoid(mean, std, rng)
                }
            }
        }
    }

    pub(super) fn validate(&self) -> Result<(), ObjectiveError> {
        match *self {
            Self::Grid => Ok(()),
            Self::LogitNormal { mean, std, uniform_share } => {
                check_shares(&[("uniform_share", uniform_share)])?;
                check_positive("flow_time.std", std)?;
                // The mean may be negative; its exponential tells whether it is a number.
                check_positive("exp(flow_time.mean)", mean.exp())
            }
        }
    }
}

/// Draws sigmoid(N(mean, std)), in (0, 1).
pub(super) fn draw_sigmoid(mean: f64, std: f64, rng: &mut ChaCha8Rng) -> f64 {
    let logit = mean + std * noise::normal(rng);
    1.0 / (1.0 + (-logit).exp())
}
