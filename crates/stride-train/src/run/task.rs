//! What one kind of training is: its batches, its loss, its reports and its model.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Tensor;

use super::loss_map::RowLoss;
use super::state::TrainState;
use crate::TrainError;

/// What one kind of training supplies to [`train_loop`](super::train_loop()).
///
/// [`batch`](Self::batch) and [`loss`](Self::loss) are the seam of data-parallel training. A batch is made once a
/// step, in host memory. Every worker then moves its share of the rows to its device and differentiates the loss
/// there, with a copy of the model of its own. The gradient of a step is the sum of the shares' gradients, each
/// weighted by its fraction of the rows, so it does not matter which device computes which rows.
pub trait TrainingTask: Sync {
    /// What is trained; several networks trained together are one module.
    type Model: Module + Sync;

    /// All rows of one step, in host memory.
    type Batch: Sync;

    /// Rows of a batch.
    fn batch_size(&self) -> usize;

    /// Images or captions to train on, which make an epoch.
    fn num_train(&self) -> usize;

    /// Makes the batch of a step.
    ///
    /// Everything random must be drawn from a generator keyed by the seed, `at.step` and the row, so that neither a
    /// resume nor the number of workers changes the batch.
    ///
    /// # Errors
    /// When the batch cannot be made.
    fn batch(&self, at: &StepInfo) -> Result<Self::Batch, TrainError>;

    /// The mean loss over a share of the rows, a range of `0..batch_size`.
    ///
    /// The loop calls this for all shares of a batch at the same time. `model` is the worker's copy to differentiate;
    /// averages are in `state`.
    fn loss(
        &self,
        model: &Self::Model,
        state: &TrainState<Self::Model>,
        batch: &Self::Batch,
        rows: Range<usize>,
    ) -> StepLoss;

    /// What a person knows the sample of a row of `0..batch_size` by, such as the name of its image.
    fn sample_name(&self, batch: &Self::Batch, row: usize) -> String;

    /// Evaluates and draws, every so often and at the end, where `at.fraction` is 1.
    ///
    /// # Errors
    /// When that fails.
    fn report(
        &mut self,
        state: &TrainState<Self::Model>,
        at: &StepInfo,
    ) -> Result<Report, TrainError>;

    /// The trained model: the files of a model folder, by their paths in it.
    ///
    /// # Errors
    /// When the networks do not make a model.
    fn export(&self, state: &TrainState<Self::Model>)
    -> Result<Vec<(String, Vec<u8>)>, TrainError>;
}

/// How far a run is, in numbers and images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Named values for the metrics.
    pub values: Vec<(String, f64)>,
    /// PNG files by name.
    pub images: Vec<(&'static str, Vec<u8>)>,
    /// What the images show.
    pub prompts: Vec<String>,
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// Number of the step, from 0.
    pub step: u64,
    /// Fraction of the run's steps that are behind it, in [0, 1].
    pub fraction: f64,
}

/// The mean loss over some rows of a batch.
#[derive(Debug)]
pub struct StepLoss {
    /// What is differentiated, a single number.
    pub loss: Tensor<1>,
    /// Named values for the record.
    pub parts: Vec<LossPart>,
    /// Losses by time and step size, where there are such.
    pub rows: Vec<RowLoss>,
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
    /// Joins a mean to those of the same name.
    pub(crate) fn join(parts: &mut Vec<Self>, part: Self) {
        match parts.iter_mut().find(|other| other.name == part.name) {
            Some(other) => other.add(part),
            None => parts.push(part),
        }
    }

    /// Joins the means over two sets of rows.
    pub(crate) fn add(&mut self, other: Self) {
        let rows = self.rows + other.rows;
        let sum = self.mean * self.rows as f64 + other.mean * other.rows as f64;
        (self.mean, self.rows) = (sum / rows.max(1) as f64, rows);
    }
}
