//! Flow matching: regress the velocity of the straight path from noise to data.

use serde::{Deserialize, Serialize};

use super::error::check_shares;
use super::path::path_targets;
use super::{Batch, FlowTime, Network, Objective, ObjectiveError, Row, Teacher, TrainingTargets};
use crate::noise::{self, ChaCha8Rng};
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
    /// Share of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
}

impl Default for FlowMatchingConfig {
    fn default() -> Self {
        Self { flow_time: FlowTime::default(), cond_dropout_prob: 0.1 }
    }
}

impl Objective for FlowMatchingConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_shares(&[("cond_dropout_prob", self.cond_dropout_prob)])?;
        self.flow_time.validate()
    }

    fn plan_rows(&self, _progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        rngs.iter_mut().map(|rng| flow_row(self.flow_time, self.cond_dropout_prob, rng)).collect()
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
        match self.cond_dropout_prob > 0.0 {
            true => Guidance::AnyLevel,
            false => Guidance::Never,
        }
    }
}

/// Draws a flow-matching row.
pub(super) fn flow_row(flow_time: FlowTime, cond_dropout_prob: f64, rng: &mut ChaCha8Rng) -> Row {
    let t = flow_time.draw(rng);
    Row { drop_caption: noise::uniform(rng) < cond_dropout_prob, ..Row::flow(t) }
}
