//! What an objective is to the trainer.

use burn::tensor::Tensor;
use stride_kernels::gemm::Compute;

use super::{ObjectiveError, Row, TrainingTargets};
use crate::noise::ChaCha8Rng;
use crate::sampler::{Guidance, Sampler};

/// Decides what the rows of a batch are for, what the network should answer, and how a trained
/// model is sampled.
pub trait Objective: Send + Sync {
    /// Checks the settings against the batch size.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    fn validate(&self, batch_size: usize) -> Result<(), ObjectiveError>;

    /// Checks the settings against what products of the training steps round their factors to.
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

    /// The row without teacher that judges a network at time t on held-out data.
    fn evaluation_row(&self, t: f64) -> Row {
        Row::flow(t)
    }

    /// Exchanges noise between the `num_rows` rows of a whole batch; by default nothing moves.
    ///
    /// `x_0` and `x_1` hold one row after the other.
    fn pair_noise(&self, _x_0: &mut [f32], _x_1: &[f32], _num_rows: usize) {}

    /// Whose answers the targets are made of.
    fn teacher(&self) -> Teacher;

    /// Builds the targets of a batch on a plain (not autodiff) device.
    ///
    /// `teacher` is asked about the leading rows that need it, in their order, and not at all
    /// where there are none.
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

/// A network on a plain device: input and conditioning of the leading rows to answers.
pub type Network<'a> = dyn Fn(NetworkInput, Conditioning) -> Tensor<4> + 'a;

/// What the network sees beside the captions.
#[derive(Clone, Debug)]
pub struct NetworkInput {
    /// States, `[B, C, H, W]`.
    pub x_t: Tensor<4>,
    /// Times in [0, 1), `[B]`.
    pub t: Tensor<1>,
    /// Levels k of the step sizes d = 2^-k, real numbers in [0, 7], `[B]`.
    pub log2_steps: Tensor<1>,
    /// Guidance scales of at least 1, `[B]`, if they are an input; otherwise 1.
    pub guidance_scale: Option<Tensor<1>>,
}

/// What the teacher is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioning {
    /// The rows' own captions.
    Caption,
    /// The empty caption, for guidance.
    Null,
}

impl NetworkInput {
    /// The same input on the autodiff device, without gradient of its own.
    pub fn for_student(&self) -> Self {
        Self {
            x_t: Tensor::from_inner(self.x_t.clone()),
            t: Tensor::from_inner(self.t.clone()),
            log2_steps: Tensor::from_inner(self.log2_steps.clone()),
            guidance_scale: self.guidance_scale.clone().map(Tensor::from_inner),
        }
    }
}
