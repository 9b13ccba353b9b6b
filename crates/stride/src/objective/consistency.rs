//! Consistency training: neighbouring points of one path must lead to the same data.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::contract::{Batch, Conditioning, Head, Network, Objective, Teacher, TrainingTargets};
use super::error::{ObjectiveError, check_fractions};
use super::path::{Leading, path_targets, wide};
use super::row::{FlowTime, Row, RowKind};
use crate::network_input::{BASE_LEVEL, step_level};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{Guidance, Sampler};

/// Settings of consistency training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsistencyConfig {
    /// How t is drawn.
    pub flow_time: FlowTime,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
}

impl Default for ConsistencyConfig {
    fn default() -> Self {
        Self { flow_time: FlowTime::default(), cond_dropout_prob: 0.1 }
    }
}

/// The model predicts the data as f(x, t) = x + (1 - t) s(x, t, 1 - t). A row at time t regresses
/// the velocity (f'(x_u, u) - x_t) / (1 - t) towards what the teacher predicts a little later on
/// the same path, at u = t + h; from u = 1 on that is the data, and the row is one of flow
/// matching. The gap h is 1 at first and halves in each seventh of the run, to 1/64.
///
/// # Source
/// Consistency Models (Song et al. 2023, arXiv 2303.01469), algorithm 3, in the velocity form and
/// with the gaps of the baseline of kvfrans/shortcut-models; the teacher is the exponential
/// moving average.
/// # Deviations
/// Times are drawn from the whole of [0, 1) and not from the grid of the gap.
impl Objective for ConsistencyConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[("cond_dropout_prob", self.cond_dropout_prob)])?;
        self.flow_time.validate()
    }

    fn plan_rows(&self, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let plan = |rng: &mut ChaCha8Rng| {
            let row = self.evaluation_row(self.flow_time.draw(rng));
            let is_last = row.t + gap(progress) >= 1.0;
            Row {
                kind: if is_last { RowKind::Flow } else { RowKind::Bootstrap },
                drop_caption: noise::uniform(rng) < self.cond_dropout_prob,
                ..row
            }
        };
        let mut rows: Vec<Row> = rngs.iter_mut().map(plan).collect();
        // Which image a row belongs to does not matter, but the teacher's rows come first.
        rows.sort_by_key(|row| !row.needs_teacher());
        rows
    }

    fn evaluation_row(&self, t: f64) -> Row {
        Row { log2_steps: step_level(1.0 - t), ..Row::flow(t) }
    }

    fn teacher(&self) -> Teacher {
        Teacher::Average
    }

    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets {
        let gap = gap(batch.progress);
        path_targets(batch, |leading| consistency_targets(leading, gap, teacher))
    }

    fn sampler(&self) -> Sampler {
        Sampler::Consistency
    }

    fn guidance(&self) -> Guidance {
        Guidance::learned_by_dropout(self.cond_dropout_prob)
    }
}

/// The gap between the two times of a row.
fn gap(progress: f64) -> f64 {
    let stages = f64::from(BASE_LEVEL);
    (-(progress * stages).floor().clamp(0.0, stages - 1.0)).exp2()
}

/// (x_u + (1 - u) s'(x_u, u, 1 - u) - x_t) / (1 - t) with u = t + gap.
fn consistency_targets(leading: Leading<'_>, gap: f64, teacher: &Network<'_>) -> Tensor<4> {
    // The path is straight.
    let x_u = leading.x_t.clone() + leading.velocity.clone() * gap;
    let left = |row: &Row| 1.0 - row.t - gap;
    let input = leading.input(x_u.clone(), |row| row.t + gap, |row| step_level(left(row)));
    let data = x_u
        + teacher(input, Conditioning::Caption, Head::MeanVelocity) * wide(leading.column(left));
    (data - leading.x_t.clone()) / wide(leading.column(|row| 1.0 - row.t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::keyed_rng;

    #[test]
    fn the_gap_halves_by_sevenths_of_the_run() {
        for (progress, expected) in [(0.0, 1.0), (0.15, 0.5), (0.5, 0.125), (1.0, 1.0 / 64.0)] {
            assert_eq!(gap(progress), expected, "{progress}");
        }
    }

    #[test]
    fn rows_whose_gap_reaches_the_data_need_no_teacher_and_come_last() {
        let config = ConsistencyConfig::default();
        let mut rngs: Vec<_> = (0..1000).map(|i| keyed_rng(0, 2, 0, i)).collect();
        assert!(config.plan_rows(0.0, &mut rngs).iter().all(|row| !row.needs_teacher()));
        let rows = config.plan_rows(0.5, &mut rngs);
        let leading = rows.iter().take_while(|row| row.needs_teacher()).count();
        assert!(rows[leading..].iter().all(|row| !row.needs_teacher() && row.t >= 0.875));
        assert!(rows[..leading].iter().all(|row| row.t < 0.875));
        assert!((leading as f64 / 1000.0 - 0.875).abs() < 0.03, "{leading}");
        assert!(rows.iter().all(|row| (row.t + row.step_size() - 1.0).abs() < 1e-6));
    }
}
