//! What one kind of training is: its batches, its loss, its reports and its model.

use std::ops::Range;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;

use super::state::TrainState;
use crate::TrainError;

/// What one kind of training supplies to [`train_loop`].
pub trait TrainingTask: Sync {
    /// What is trained; several networks trained together are one module.
    type Model: Module + Sync;

    /// Rows of a batch.
    fn batch_size(&self) -> usize;

    /// The mean loss over a range of the rows `0..batch_size` of one step.
    ///
    /// The loop cuts a batch into one range per core and calls this for all of them at the same
    /// time, each with a `model` of its own to differentiate; averages are in `state`.
    /// Everything random must be drawn from a generator keyed by the seed, `at.step` and the row,
    /// so that neither a resume nor the number of cores changes the batch.
    ///
    /// # Errors
    /// When the batch cannot be made.
    fn loss(
        &self,
        model: &Self::Model,
        state: &TrainState<Self::Model>,
        at: &StepInfo,
        rows: Range<usize>,
    ) -> Result<StepLoss, TrainError>;

    /// Evaluates and writes images into the run folder, every so often and at the end.
    ///
    /// Returns named values for the metrics.
    ///
    /// # Errors
    /// When that fails.
    fn report(
        &mut self,
        state: &TrainState<Self::Model>,
        at: &StepInfo,
        run_dir: &Path,
    ) -> Result<Vec<(String, f64)>, TrainError>;

    /// Writes the trained model into the run folder after the last step.
    ///
    /// # Errors
    /// When that fails.
    fn export(&mut self, state: &TrainState<Self::Model>, run_dir: &Path)
    -> Result<(), TrainError>;
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// Number of the step, from 0.
    pub step: u64,
    /// Fraction of the budget used before it, in [0, 1].
    pub fraction: f64,
}

/// The mean loss over some rows of a batch.
#[derive(Debug)]
pub struct StepLoss {
    /// What is differentiated, a single number.
    pub loss: Tensor<1>,
    /// Named values for the record.
    pub parts: Vec<LossPart>,
}

/// A value for the record: the mean over some of the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPart {
    /// Its name.
    pub name: &'static str,
    /// The mean.
    pub mean: f64,
    /// How many rows it is the mean of.
    pub rows: usize,
}

impl LossPart {
    /// Joins the means over two sets of rows.
    pub(crate) fn add(&mut self, other: Self) {
        let rows = self.rows + other.rows;
        let sum = self.mean * self.rows as f64 + other.mean * other.rows as f64;
        (self.mean, self.rows) = (sum / rows.max(1) as f64, rows);
    }
}
