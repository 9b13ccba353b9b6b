//! Mean flows: the identity between mean velocity and its total derivative along the path.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use stride_kernels::gemm::Compute;

use super::contract::{
    Batch, Conditioning, LossWeight, Network, Objective, Teacher, TrainingTargets,
};
use super::error::{ObjectiveError, check, check_fractions, check_positive};
use super::path::{Leading, path_targets, wide};
use super::row::{FlowTime, Row, RowKind};
use crate::network_input::{column, step_level};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{Guidance, Sampler};

/// Settings of the mean-flow objective; the defaults are those that did best on avatars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeanFlowConfig {
    /// Fraction of the rows with a step size above 0.
    #[serde(alias = "mean_share")]
    pub mean_fraction: f64,
    /// How times are drawn; the start and end of a step are two draws in order.
    pub flow_time: FlowTime,
    /// The step e of the difference quotient, at most half of d; no row has a d below e, so that shorter steps lie between
    /// what was trained at e and at 0. The difference is divided by 2 e, so that rounding
    /// of the network counts 1 / (2 e) times: below 0.05 it must compute in f32.
    pub difference_step: f64,
    /// Divides the loss of a row by its error plus this offset.
    pub adaptive_offset: f64,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
}

/// The difference is divided by twice this step; below it, what is left is the rounding of bfloat16.
const SMALLEST_DIFFERENCE_IN_BF16: f64 = 0.05;

impl Default for MeanFlowConfig {
    fn default() -> Self {
        Self {
            mean_fraction: 0.25,
            flow_time: FlowTime::LogitNormal { mean: -0.7, std: 1.4, uniform_fraction: 0.25 },
            difference_step: SMALLEST_DIFFERENCE_IN_BF16,
            adaptive_offset: 1e-3,
            cond_dropout_prob: 0.1,
        }
    }
}

/// A row of step size d regresses v + d D, where v is the path's velocity and D the derivative of
/// s(x, t, d) along (dx, dt, dd) = (v, 1, -1), as the central difference
///
/// D = [s(x + e v, t + e, d - e) - s(x - e v, t - e, d + e)] / (2 e)
///
/// of the student without gradient, with e = min(`difference_step`, d / 2). The error of D is of
/// second order in e.
///
/// # Source
/// Mean Flows for One-step Generative Modeling (Geng et al. 2025, arXiv 2505.13447), equation 6
/// and section 4.3 for the adaptive weight; the difference quotient is that of Transition Models
/// (2025, arXiv 2509.04394).
/// # Deviations
/// A difference in place of the Jacobian-vector product; the offset of the adaptive weight is on
/// the mean square instead of the sum. States just before t = 0 and steps just above d = 1 are
/// extrapolations along the path.
impl Objective for MeanFlowConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[
            ("mean_fraction", self.mean_fraction),
            ("cond_dropout_prob", self.cond_dropout_prob),
        ])?;
        check_positive("adaptive_offset", self.adaptive_offset)?;
        let e = self.difference_step;
        check(e > 0.0 && e <= 0.1, "difference_step", "a number in (0, 0.1]", e)?;
        self.flow_time.validate()
    }

    fn validate_compute(&self, compute: Compute) -> Result<(), ObjectiveError> {
        let e = self.difference_step;
        let enough = compute == Compute::F32 || e >= SMALLEST_DIFFERENCE_IN_BF16;
        let expected = "at least 0.05 where training computes in bf16 (or compute_dtype = \"f32\")";
        check(enough, "difference_step", expected, e)
    }

    fn plan_rows(&self, _progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let num_mean = (self.mean_fraction * rngs.len() as f64) as usize;
        let leading = |_, rng: &mut ChaCha8Rng| self.mean_row(rng);
        self.flow_time.draw_rows_after(num_mean, leading, self.cond_dropout_prob, rngs)
    }

    fn teacher(&self) -> Teacher {
        Teacher::Student
    }

    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets {
        let (rows, device) = (batch.rows, batch.x_0.device());
        let targets = path_targets(batch, |leading| {
            let d = wide(leading.column(Row::step_size));
            leading.velocity.clone() + self.total_derivative(&leading, teacher) * d
        });
        let offset = Some(column(rows, |_| self.adaptive_offset, &device));
        TrainingTargets { weight: LossWeight { factor: None, offset }, ..targets }
    }

    fn sampler(&self) -> Sampler {
        Sampler::default()
    }

    fn guidance(&self) -> Guidance {
        Guidance::learned_by_dropout(self.cond_dropout_prob)
    }
}

impl MeanFlowConfig {
    fn mean_row(&self, rng: &mut ChaCha8Rng) -> Row {
        let (a, b) = (self.flow_time.draw(rng), self.flow_time.draw(rng));
        // No step is so short that it means d = 0, and none ends beyond the data.
        let size = (a - b).abs().max(self.difference_step);
        Row {
            kind: RowKind::Bootstrap,
            log2_steps: -size.log2(),
            drop_caption: noise::uniform(rng) < self.cond_dropout_prob,
            ..Row::flow(a.min(b).min(1.0 - size))
        }
    }

    /// D, see above.
    fn total_derivative(&self, leading: &Leading<'_>, teacher: &Network<'_>) -> Tensor<4> {
        let step = |row: &Row| self.difference_step.min(0.5 * row.step_size());
        let moved = |sign: f64| {
            let shift = |row: &Row| sign * step(row);
            let input = leading.input(
                leading.x_t.clone() + leading.velocity.clone() * wide(leading.column(shift)),
                |row| row.t + shift(row),
                |row| step_level(row.step_size() - shift(row)),
            );
            teacher(input, Conditioning::Caption)
        };
        (moved(1.0) - moved(-1.0)) / wide(leading.column(|row| 2.0 * step(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::keyed_rng;

    #[test]
    fn steps_stay_inside_the_path() {
        let config = MeanFlowConfig { mean_fraction: 0.5, ..Default::default() };
        let mut rngs: Vec<_> = (0..4000).map(|i| keyed_rng(0, 2, 0, i)).collect();
        let rows = config.plan_rows(0.0, &mut rngs);
        let steps: Vec<&Row> = rows.iter().filter(|row| row.needs_teacher()).collect();
        assert_eq!(steps.len(), 2000);
        for row in &steps {
            let end = row.t + row.step_size();
            assert!(row.t >= 0.0 && end <= 1.0 + 1e-9, "{row:?}");
            assert!(row.step_size() > config.difference_step - 1e-12, "{row:?}");
        }
        assert!(steps.iter().any(|row| row.log2_steps < 0.5), "long steps");
        let is_short = |row: &&Row| row.step_size() < 2.0 * config.difference_step;
        assert!(steps.iter().any(is_short), "short steps");
    }

    #[test]
    fn impossible_settings_are_named() {
        for (difference_step, mean_fraction, name) in [
            (0.0, 0.5, "difference_step"),
            (f64::NAN, 0.5, "difference_step"),
            (0.01, 2.0, "mean_fraction"),
        ] {
            let config = MeanFlowConfig { difference_step, mean_fraction, ..Default::default() };
            let error = config.validate(8).map_err(|error| error.to_string());
            assert!(error.is_err_and(|error| error.contains(name)), "{name}");
        }
        let fine = MeanFlowConfig { difference_step: 0.005, ..Default::default() };
        let in_bf16 = fine.validate_compute(Compute::Bf16);
        assert!(in_bf16.is_err_and(|error| error.to_string().contains("difference_step")));
        assert_eq!(fine.validate_compute(Compute::F32), Ok(()));
        assert_eq!(MeanFlowConfig::default().validate_compute(Compute::Bf16), Ok(()));
    }
}
