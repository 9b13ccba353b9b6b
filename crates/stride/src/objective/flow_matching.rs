//! Flow matching: regress the velocity of the straight path from noise to data.

use serde::{Deserialize, Serialize};

use super::contract::{Batch, Network, Objective, Teacher, TrainingTargets};
use super::error::{ObjectiveError, check_fractions};
use super::path::path_targets;
use super::row::{FlowTime, Row};
use crate::noise::ChaCha8Rng;
use crate::sampler::{Guidance, Sampler};

/// Settings of flow matching.
///
/// Every row regresses x_1 - x_0 at x_t = (1 - t) x_0 + t x_1 and at the base level, d = 0.
///
/// # Source
/// Flow Straight and Fast (Liu et al. 2022, arXiv 2209.03003), equation 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowMatchingConfig {
    /// How t is drawn.
    pub flow_time: FlowTime,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
}

impl Default for FlowMatchingConfig {
    fn default() -> Self {
        Self { flow_time: FlowTime::default(), cond_dropout_prob: 0.1 }
    }
}

impl Objective for FlowMatchingConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[("cond_dropout_prob", self.cond_dropout_prob)])?;
        self.flow_time.validate()
    }

    fn plan_rows(&self, _progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        rngs.iter_mut().map(|rng| self.flow_time.draw_row(self.cond_dropout_prob, rng)).collect()
    }

    fn teacher(&self) -> Teacher {
        Teacher::Nobody
    }

    fn targets(&self, batch: Batch<'_>, _teacher: &Network<'_>) -> TrainingTargets {
        path_targets(batch, |leading| leading.velocity)
    }

    fn sampler(&self) -> Sampler {
        Sampler::Euler { base_level_only: true }
    }

    fn guidance(&self) -> Guidance {
        Guidance::learned_by_dropout(self.cond_dropout_prob)
    }
}
