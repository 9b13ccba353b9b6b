//! What an objective is to the trainer: what it is handed, what it makes of it, and what that costs.

use std::cell::Cell;

use burn::tensor::{Device, Tensor};
use stride_kernels::gemm::Compute;

use super::error::ObjectiveError;
use super::row::Row;
use crate::network_input::NetworkInput;
use crate::noise::{ChaCha8Rng, keyed_rng, purpose};
use crate::sampler::{Guidance, Sampler};

/// Decides what the rows of a batch are for, what the network should answer, and how a trained
/// model is sampled.
pub trait Objective: Send + Sync {
    /// Checks the settings against the batch size.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    fn validate(&self, batch_size: usize) -> Result<(), ObjectiveError>;

    /// Checks the settings against the compute dtype of training.
    ///
    /// # Errors
    /// Names the setting that asks for more digits.
    fn validate_compute(&self, _compute: Compute) -> Result<(), ObjectiveError> {
        Ok(())
    }

    /// Plans a batch: rows that need the teacher first, then those that do not.
    ///
    /// `progress` in [0, 1] is the fraction of the run that is done. `rngs` holds one keyed
    /// generator per row, so that a row's draws depend on neither the batch nor its order.
    fn plan_rows(&self, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row>;

    /// The row without teacher that tells the error of a network at time t on held-out data.
    fn evaluation_row(&self, t: f64) -> Row {
        Row::flow(t)
    }

    /// Exchanges noise between the `num_rows` rows of a whole batch; by default nothing moves.
    ///
    /// `x_0` and `x_1` hold one row after the other.
    fn pair_noise(&self, _x_0: &mut [f32], _x_1: &[f32], _num_rows: usize) {}

    /// Whether the network needs a second output, which learns the velocity at d = 0 on rows of any d.
    fn needs_velocity_head(&self) -> bool {
        false
    }

    /// Whose answers the targets are made of.
    fn teacher(&self) -> Teacher;

    /// Builds the targets of a batch on a plain (not autodiff) device.
    ///
    /// `teacher` is asked about the leading rows that need it or the first of them, in their order, and not at all
    /// where there are none; on the empty caption, about any of them.
    fn targets(&self, batch: Batch<'_>, teacher: &Network<'_>) -> TrainingTargets;

    /// How a trained model is sampled.
    fn sampler(&self) -> Sampler;

    /// Where a trained model can be guided.
    fn guidance(&self) -> Guidance;
}

/// Whose answers targets are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teacher {
    /// Nobody's: all rows regress data.
    Nobody,
    /// An exponential moving average of the student.
    Average,
    /// The student's own, without gradient.
    Student,
}

/// A batch, or any part of one whose rows that need the teacher come first.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// The plan of these rows.
    pub rows: &'a [Row],
    /// The fraction of the run that is done, in [0, 1].
    pub progress: f64,
    /// Noise, `[B, C, H, W]`.
    pub x_0: Tensor<4>,
    /// Data, `[B, C, H, W]`.
    pub x_1: Tensor<4>,
}

/// A network on a plain device: input and conditioning of the leading rows to one of its outputs.
pub type Network<'a> = dyn Fn(NetworkInput, Conditioning, Head) -> Tensor<4> + 'a;

/// An output of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// s(x_t, t, d).
    MeanVelocity,
    /// The velocity at d = 0, of networks that have [such an output](Objective::needs_velocity_head).
    Velocity,
}

/// What the teacher is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioning {
    /// The rows' own captions.
    Caption,
    /// The empty caption, for guidance.
    Null,
}

/// One training batch: the student sees `input` and the captions, and is asked for `target`.
#[derive(Clone, Debug)]
pub struct TrainingTargets {
    /// What the student sees.
    pub input: NetworkInput,
    /// What the student should answer, `[B, C, H, W]`, without gradient.
    pub target: Tensor<4>,
    /// How the errors of the rows add up.
    pub weight: LossWeight,
    /// What the second output should answer, `[B, C, H, W]`, if there is one. Its errors add up in the same way, to
    /// a loss of its own.
    pub velocity: Option<Tensor<4>>,
}

/// How the errors of rows add up to a loss: the mean of factor x error, or of
/// factor x error / (error + offset), where the error below the line has no gradient, so that rows
/// of large error count no more than others.
#[derive(Clone, Debug, Default)]
pub struct LossWeight {
    /// The factor of every row, `[B]`; 1 if absent.
    pub factor: Option<Tensor<1>>,
    /// The error below which a row fades out, `[B]`, positive; the plain error if absent.
    pub offset: Option<Tensor<1>>,
    /// The factor of every position's squared error, `[B, 1, H, W]`; 1 if absent. Its mean should be 1 in every row, so that rows
    /// count as much as they do without.
    pub positions: Option<Tensor<4>>,
}

impl TrainingTargets {
    /// The mean squared error of every row, `[B]`, of positions that count as much as their weights say.
    ///
    /// `prediction` may live on an autodiff device; the targets carry no gradient.
    pub fn row_losses(&self, prediction: Tensor<4>) -> Tensor<1> {
        self.errors(prediction, &self.target)
    }

    /// The mean squared error of the second output in every row, `[B]`.
    ///
    /// # Panics
    /// There is no target for it.
    pub fn velocity_losses(&self, prediction: Tensor<4>) -> Tensor<1> {
        self.errors(prediction, self.velocity.as_ref().expect("targets of a second output"))
    }

    fn errors(&self, prediction: Tensor<4>, target: &Tensor<4>) -> Tensor<1> {
        let target = like(&prediction, target.clone());
        let mut errors = (prediction - target).square();
        if let Some(positions) = &self.weight.positions {
            errors = errors.clone() * like(&errors, positions.clone());
        }
        errors.mean_dims(&[1, 2, 3]).flatten(0, 3)
    }

    /// The loss, `[1]`: the weighted mean of the row losses.
    ///
    /// # Source
    /// The adaptive weight: Consistency Models Made Easy (Geng et al. 2024, arXiv 2406.14548) and
    /// alpha-Flow (2025, arXiv 2510.20771).
    pub fn loss(&self, row_losses: Tensor<1>) -> Tensor<1> {
        let constant = |values: &Tensor<1>| like(&row_losses, values.clone());
        let mut losses = row_losses.clone();
        if let Some(factor) = &self.weight.factor {
            losses = losses * constant(factor);
        }
        if let Some(offset) = &self.weight.offset {
            losses = losses / (row_losses.clone().detach() + constant(offset));
        }
        losses.mean()
    }
}

/// Constants of a plain device on the device of `other`, which may be an autodiff one.
fn like<const D: usize>(other: &Tensor<D>, constants: Tensor<D>) -> Tensor<D> {
    if other.is_autodiff() { Tensor::from_inner(constants) } else { constants }
}

/// A trained row costs three forward passes: one, and a backward pass of two.
const STUDENT_PASSES: f64 = 3.0;
/// Points of a run at which batches are planned.
const POINTS: u64 = 140;

/// Forward passes of the network per row of training, averaged over a run: three for the row
/// itself, and what the objective asks its teacher, counted on planned batches.
///
/// # Source
/// The accounting of the shortcut paper (arXiv 2410.12557, section 4): 16 % above flow matching
/// for a quarter of self-consistency rows, here (3 + 2/4) / 3.
pub fn passes_per_row(objective: &dyn Objective, batch_size: usize) -> f64 {
    let device = Device::flex();
    let asked = Cell::new(0usize);
    for point in 0..POINTS {
        let mut rngs: Vec<_> = (0..batch_size as u64)
            .map(|row| keyed_rng(0, purpose::TRAINING_ROW, point, row))
            .collect();
        let progress = (point as f64 + 0.5) / POINTS as f64;
        let rows = objective.plan_rows(progress, &mut rngs);
        let zeros = || Tensor::<4>::zeros([batch_size, 1, 1, 1], &device);
        let batch = Batch { rows: &rows, progress, x_0: zeros(), x_1: zeros() };
        objective.targets(batch, &|input, _, _| {
            asked.set(asked.get() + input.x_t.dims()[0]);
            input.x_t
        });
    }
    STUDENT_PASSES + asked.get() as f64 / (POINTS as f64 * batch_size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(weight: LossWeight) -> TrainingTargets {
        let device = Device::flex();
        let column = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
        let x_t = Tensor::<4>::zeros([2, 1, 1, 2], &device);
        let input = NetworkInput {
            x_t: x_t.clone(),
            t: column([0.0; 2]),
            log2_steps: column([7.0; 2]),
            guidance_scale: None,
        };
        TrainingTargets { input, target: x_t, weight, velocity: None }
    }

    #[test]
    fn positions_count_as_much_as_their_weights() {
        let device = Device::flex();
        let prediction =
            Tensor::<4>::from_floats([[[[2.0, 1.0]]], [[[3.0, 0.3]]]], &device.clone().autodiff())
                .require_grad();
        let losses = |weights: Option<[[[[f32; 2]; 1]; 1]; 2]>| {
            let positions = weights.map(|weights| Tensor::from_floats(weights, &device));
            let weight = LossWeight { positions, ..LossWeight::default() };
            targets(weight).row_losses(prediction.clone())
        };
        let ones = losses(Some([[[[1.0; 2]]]; 2])).into_data();
        ones.assert_eq(&losses(None).into_data(), true);
        // (1.5 * 4 + 0.5 * 1) / 2 and (0.5 * 9 + 1.5 * 0.09) / 2.
        let weighted = losses(Some([[[[1.5, 0.5]]], [[[0.5, 1.5]]]]));
        let values: Vec<f32> = weighted.to_data().iter().collect();
        assert!((values[0] - 3.25).abs() < 1e-6 && (values[1] - 2.3175).abs() < 1e-6, "{values:?}");
        // d/dp of mean(w p^2) over two numbers is w p.
        let gradient = prediction.grad(&weighted.sum().backward()).expect("used").into_data();
        let gradient: Vec<f32> = gradient.iter().collect();
        for (found, expected) in gradient.iter().zip([3.0, 0.5, 1.5, 0.45]) {
            assert!((found - expected).abs() < 1e-6, "{gradient:?} {expected}");
        }
    }

    #[test]
    fn weights_are_constants_of_the_loss() {
        let device = Device::flex();
        let autodiff = device.clone().autodiff();
        let column = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
        let (factor, offset) = (column([1.0, 0.5]), column([0.1, 0.2]));
        for (factor, offset, expected) in [
            (None, None, [1.0, 1.0]),
            (Some(factor.clone()), None, [1.0, 0.5]),
            (None, Some(offset.clone()), [1.0 / 4.1, 1.0 / 9.2]),
            (Some(factor), Some(offset), [1.0 / 4.1, 0.5 / 9.2]),
        ] {
            let targets = targets(LossWeight { factor, offset, positions: None });
            // Row errors are 4 and 9.
            let prediction = Tensor::<4>::from_floats([[[[2.0, 2.0]]], [[[3.0, 3.0]]]], &autodiff)
                .require_grad();
            let loss = targets.loss(targets.row_losses(prediction.clone()));
            let value: f32 = loss.clone().inner().into_scalar();
            let expected_loss = (4.0 * expected[0] + 9.0 * expected[1]) / 2.0;
            assert!((value - expected_loss).abs() < 1e-5, "{value} {expected_loss}");
            let gradient = prediction.grad(&loss.backward()).expect("used").into_data();
            let gradient: Vec<f32> = gradient.iter().collect();
            // d/dp of w/2 * mean(p^2) over two numbers is w p / 2.
            for (found, expected) in
                gradient.iter().step_by(2).zip([expected[0], 1.5 * expected[1]])
            {
                assert!((found - expected).abs() < 1e-5, "{gradient:?} {expected}");
            }
        }
    }
}
