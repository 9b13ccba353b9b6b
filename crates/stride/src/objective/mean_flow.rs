//! Mean flows: the identity between mean velocity and its total derivative along the path.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;

use super::contract::{
    Batch, Conditioning, Head, LossWeight, Network, Objective, Teacher, TrainingTargets,
};
use super::error::{ObjectiveError, check, check_fractions, check_positive};
use super::path::{Leading, path_targets, put_first, velocity, wide};
use super::row::{FlowTime, Row, RowKind};
use crate::network_input::{BASE_LEVEL, NetworkInput, column, step_level};
use crate::noise::{self, ChaCha8Rng};
use crate::sampler::{Guidance, Sampler};

/// Settings of the mean-flow objective; the defaults are those that did best on avatars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeanFlowConfig {
    /// Fraction of the rows with a step size above 0.
    #[serde(alias = "mean_share")]
    pub mean_fraction: f64,
    /// Fraction of the run after which these rows begin, few of them and with small steps; flow matching alone before.
    pub mean_start: f64,
    /// Fraction of the run from which on all of them are there, with steps of any size; their number and the largest
    /// step grow linearly up to it.
    pub mean_full: f64,
    /// How times are drawn; the start and end of a step are two draws in order.
    pub flow_time: FlowTime,
    /// Which velocity the derivative is taken along.
    pub tangent: Tangent,
    /// The step e of the difference quotient, at most half of d; no row has a d below e, so that shorter steps lie between
    /// what was trained at e and at 0. The difference is divided by 2 e, so that rounding of the network counts 1 / (2 e)
    /// times: below 0.05, and with a predicted tangent, it is computed in f32 whatever training computes in.
    pub difference_step: f64,
    /// Divides the loss of a row by its error plus this offset.
    pub adaptive_offset: f64,
    /// Fraction of rows trained on the empty caption.
    pub cond_dropout_prob: f64,
    /// Makes the guidance scale an input of the network, which a predicted tangent allows; no input if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<DrawnGuidance>,
}

/// Which velocity the derivative of a step's mean velocity is taken along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tangent {
    /// That of the path from this noise to this image, of which the true one is the mean.
    #[default]
    Data,
    /// The mean itself, as a second output of the network predicts it.
    Predicted,
}

/// Guidance scales that rows are trained for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnGuidance {
    /// The largest scale w; the smallest is 1, and the density falls as 1 / w.
    pub max_scale: f64,
    /// Fraction of the rows with captions that keep w = 1. Every other one costs a pass, and two if its step size is 0.
    #[serde(default = "default_unguided_fraction")]
    pub unguided_fraction: f64,
}

fn default_unguided_fraction() -> f64 {
    0.5
}

/// The difference is divided by twice this step; below it, what is left is the rounding of bfloat16.
const SMALLEST_DIFFERENCE_IN_BF16: f64 = 0.05;
/// The shortest step of a row: half of it, the least that its difference asks for, is not yet taken for 0.
const SHORTEST_STEP: f64 = 1.0 / 64.0;

impl Default for MeanFlowConfig {
    fn default() -> Self {
        Self {
            mean_fraction: 0.25,
            mean_start: 0.0,
            mean_full: 0.0,
            flow_time: FlowTime::LogitNormal { mean: -0.7, std: 1.4, uniform_fraction: 0.25 },
            tangent: Tangent::default(),
            difference_step: SMALLEST_DIFFERENCE_IN_BF16,
            adaptive_offset: 1e-3,
            cond_dropout_prob: 0.1,
            guidance: None,
        }
    }
}

/// A row of step size d regresses v + d D, where v is the path's velocity and D the derivative of
/// s(x, t, d) along (dx, dt, dd) = (z, 1, -1), as the central difference
///
/// D = [s(x + e z, t + e, d - e) - s(x - e z, t - e, d + e)] / (2 e)
///
/// of the student without gradient, with e = min(`difference_step`, d / 2). The error of D is of
/// second order in e. Along the data, z = v. Along a predicted tangent, z is the answer of a second
/// output of the network, which regresses v on all rows, at d = 0.
///
/// Where the guidance scale w is an input, both outputs regress v~ = v + (1 - 1 / w) (v_w - v_null) in
/// place of v, where v_w and v_null are the second output's answers with the caption and w, and with
/// the empty caption and scale 1; z = v_w. Its fixed point is guidance by two passes, v~ = v_null + w (v_1 - v_null).
///
/// # Source
/// Mean Flows for One-step Generative Modeling (Geng et al. 2025, arXiv 2505.13447), equation 6
/// and section 4.3 for the adaptive weight; the difference quotient is that of Transition Models
/// (2025, arXiv 2509.04394). Tangent, second output and guidance: Improved Mean Flows (2025, arXiv
/// 2512.02012) and its code (Lyy-iiis/imeanflow, `imf.py`). Growing steps: a study of mean flow
/// training (2025, arXiv 2511.19065).
/// # Deviations
/// A difference in place of the Jacobian-vector product; the offset of the adaptive weight is on
/// the mean square instead of the sum. States just before t = 0 and steps just above d = 1 are
/// extrapolations along the path. The second output is one linear layer; guidance holds at all times; a fraction of
/// the rows keeps w = 1, and so do those without a caption.
impl Objective for MeanFlowConfig {
    fn validate(&self, _batch_size: usize) -> Result<(), ObjectiveError> {
        check_fractions(&[
            ("mean_fraction", self.mean_fraction),
            ("mean_start", self.mean_start),
            ("mean_full", self.mean_full),
            ("cond_dropout_prob", self.cond_dropout_prob),
        ])?;
        check_positive("adaptive_offset", self.adaptive_offset)?;
        let (start, full) = (self.mean_start, self.mean_full);
        // By default there is no schedule.
        let in_order = start <= full || full == 0.0;
        check(in_order, "mean_full", "at least mean_start (or 0 for no growth)", full)?;
        let e = self.difference_step;
        check(e > 0.0 && e <= 0.1, "difference_step", "a number in (0, 0.1]", e)?;
        if let Some(DrawnGuidance { max_scale, unguided_fraction }) = self.guidance {
            check_fractions(&[("guidance.unguided_fraction", unguided_fraction)])?;
            let fits = max_scale.is_finite() && max_scale > 1.0;
            check(fits, "guidance.max_scale", "a number above 1", max_scale)?;
            let is_predicted = self.tangent == Tangent::Predicted;
            check(
                is_predicted,
                "tangent",
                "\"predicted\", since guidance needs its output",
                "data",
            )?;
            check(
                self.cond_dropout_prob > 0.0,
                "cond_dropout_prob",
                "above 0, since guidance needs the empty caption",
                self.cond_dropout_prob,
            )?;
        }
        self.flow_time.validate()
    }

    fn plan_rows(&self, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
        let grown = self.grown(progress);
        let num_mean = (self.mean_fraction * grown * rngs.len() as f64) as usize;
        let leading = |_, rng: &mut ChaCha8Rng| self.mean_row(grown, rng);
        let mut rows =
            self.flow_time.draw_rows_after(num_mean, leading, self.cond_dropout_prob, rngs);
        if let Some(guidance) = self.guidance {
            rows.iter_mut().zip(rngs).for_each(|(row, rng)| guidance.draw(row, rng));
            // Those that ask the same stand together: the derivative, then v_null, then nothing.
            let is_guided = |row: &Row| row.guidance_scale != 1.0;
            rows.sort_by_key(|row| (!row.needs_teacher(), !is_mean(row), is_guided(row)));
        }
        rows
    }

    fn needs_velocity_head(&self) -> bool {
        self.tangent == Tangent::Predicted
    }

    fn teacher(&self) -> Teacher {
        Teacher::Student
    }

    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets {
        let (rows, device) = (batch.rows, batch.x_0.device());
        let velocities =
            self.needs_velocity_head().then(|| velocity(batch.x_0.clone(), batch.x_1.clone()));
        let mut guided = None;
        let targets = path_targets(batch, |leading| {
            let (v, tangent) = self.velocities(&leading, teacher);
            guided = Some(v.clone());
            let num_mean = leading.rows.iter().take_while(|row| is_mean(row)).count();
            if num_mean == 0 {
                return v;
            }
            let mean = leading.part(0..num_mean);
            let tangent = tangent.narrow(0, 0, num_mean);
            let d = wide(mean.column(Row::step_size));
            let made = v.clone().narrow(0, 0, num_mean)
                + self.total_derivative(&mean, &tangent, teacher) * d;
            put_first(made, v)
        });
        let velocity = velocities.map(|all| match guided {
            Some(guided) => put_first(guided, all),
            None => all,
        });
        let offset = Some(column(rows, |_| self.adaptive_offset, &device));
        TrainingTargets {
            weight: LossWeight { offset, ..LossWeight::default() },
            velocity,
            ..targets
        }
    }

    fn sampler(&self) -> Sampler {
        Sampler::default()
    }

    fn guidance(&self) -> Guidance {
        match self.guidance {
            Some(DrawnGuidance { max_scale, .. }) => {
                Guidance::ScaleInput { max_scale, at_base_level: true }
            }
            None => Guidance::learned_by_dropout(self.cond_dropout_prob),
        }
    }
}

/// Whether a row has a step size above 0.
fn is_mean(row: &Row) -> bool {
    row.log2_steps < f64::from(BASE_LEVEL)
}

impl DrawnGuidance {
    /// Draws the scale of a row; one above 1 makes it need the teacher.
    fn draw(&self, row: &mut Row, rng: &mut ChaCha8Rng) {
        if !row.drop_caption && noise::uniform(rng) >= self.unguided_fraction {
            // The logarithm of w is uniform.
            row.guidance_scale = self.max_scale.powf(noise::uniform(rng));
            row.kind = RowKind::Bootstrap;
        }
    }
}

impl MeanFlowConfig {
    /// How far number and size of steps have grown at a point of the run, in [0, 1].
    fn grown(&self, progress: f64) -> f64 {
        let (start, full) = (self.mean_start, self.mean_full);
        if progress < start {
            0.0
        } else if progress >= full {
            1.0
        } else {
            (progress - start) / (full - start)
        }
    }

    fn mean_row(&self, grown: f64, rng: &mut ChaCha8Rng) -> Row {
        let (a, b) = (self.flow_time.draw(rng), self.flow_time.draw(rng));
        // Either end may be the one that stays where it was drawn.
        let b = if grown < 1.0 { a + (b - a) * grown } else { b };
        // No step is so short that it means d = 0, and none ends beyond the data.
        let size = (a - b).abs().max(self.difference_step).max(SHORTEST_STEP);
        Row {
            kind: RowKind::Bootstrap,
            log2_steps: -size.log2(),
            drop_caption: noise::uniform(rng) < self.cond_dropout_prob,
            ..Row::flow(a.min(b).min(1.0 - size))
        }
    }

    /// v~ and z of the leading rows, see above.
    fn velocities(&self, leading: &Leading<'_>, teacher: &Network<'_>) -> (Tensor<4>, Tensor<4>) {
        let v = leading.velocity.clone();
        if self.tangent == Tangent::Data {
            return (v.clone(), v);
        }
        let at_d_0 = |rows: &Leading<'_>| {
            rows.input(rows.x_t.clone(), |row| row.t, |_| f64::from(BASE_LEVEL))
        };
        let tangent = teacher(at_d_0(leading), Conditioning::Caption, Head::Velocity);
        let all = leading.rows.len();
        let plain = leading.rows.iter().take_while(|row| row.guidance_scale == 1.0).count();
        if plain == all {
            return (v, tangent);
        }
        let guided = leading.part(plain..all);
        let input = NetworkInput { guidance_scale: None, ..at_d_0(&guided) };
        let v_null = teacher(input, Conditioning::Null, Head::Velocity);
        let strength = wide(guided.column(|row| 1.0 - 1.0 / row.guidance_scale));
        let v_w = tangent.clone().narrow(0, plain, all - plain);
        let made = guided.velocity + (v_w - v_null) * strength;
        let v = if plain == 0 { made } else { Tensor::cat(vec![v.narrow(0, 0, plain), made], 0) };
        (v, tangent)
    }

    /// D, see above.
    fn total_derivative(
        &self,
        rows: &Leading<'_>,
        tangent: &Tensor<4>,
        teacher: &Network<'_>,
    ) -> Tensor<4> {
        let step = |row: &Row| self.difference_step.min(0.5 * row.step_size());
        let moved = |sign: f64| {
            let shift = |row: &Row| sign * step(row);
            let input = rows.input(
                rows.x_t.clone() + tangent.clone() * wide(rows.column(shift)),
                |row| row.t + shift(row),
                |row| step_level(row.step_size() - shift(row)),
            );
            teacher(input, Conditioning::Caption, Head::MeanVelocity)
        };
        let difference = || moved(1.0) - moved(-1.0);
        let needs_digits = self.tangent == Tangent::Predicted
            || self.difference_step < SMALLEST_DIFFERENCE_IN_BF16;
        let difference = if needs_digits {
            Precision::training(Compute::F32).scope(difference)
        } else {
            difference()
        };
        difference / wide(rows.column(|row| 2.0 * step(row)))
    }
}

#[cfg(test)]
mod tests;
