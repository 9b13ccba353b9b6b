//! A look at what a run would be, before it begins.

use std::sync::atomic::AtomicBool;

use burn::module::Module;

use super::config::{RunConfig, RunKind};
use super::progress::Progress;
use super::state::TrainState;
use super::task::TrainingTask;
use super::train_loop::time_steps;
use crate::TrainError;
use crate::classifier::ClassifierTrainer;
use crate::dit::DitTrainer;
use crate::vae::VaeTrainer;

/// Steps that are made: the first one is slower, since memory is touched for the first time.
const STEPS: u64 = 4;

/// What a run would be.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// Numbers that are trained.
    pub parameters: usize,
    /// Rows of a step.
    pub batch_size: usize,
    /// The fastest step of four, with everything the objective asks for at the end of a run.
    pub seconds_per_step: f64,
    /// The loss of the last step.
    pub loss: f64,
    /// Seconds of the whole budget, without reports and checkpoints; none where the budget is in seconds alone.
    pub total_seconds: Option<f64>,
}

/// Reads configuration, data and weights as a run would, and makes a few steps that nobody keeps.
///
/// Nothing is written into the run folder. Latents are made where they are missing, as in a run, unless `stop` is set.
///
/// # Errors
/// As [`train`](crate::train).
pub fn dry_run(
    config: &RunConfig,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<DryRun, TrainError> {
    match config.kind {
        RunKind::Vae => {
            let (trainer, state) = VaeTrainer::new(config)?;
            look(&trainer, state, config)
        }
        RunKind::Classifier => {
            let (trainer, state) = ClassifierTrainer::new(config)?;
            look(&trainer, state, config)
        }
        RunKind::Dit => {
            let (trainer, state) = DitTrainer::new(config, progress, stop)?;
            look(&trainer, state, config)
        }
    }
}

fn look<T: TrainingTask>(
    trainee: &T,
    state: TrainState<T::Model>,
    config: &RunConfig,
) -> Result<DryRun, TrainError> {
    let parameters = state.model().num_params();
    let (seconds, loss) = time_steps(trainee, state, &config.training, STEPS)?;
    let total = config.training.budget.max_steps.map(|steps| steps as f64 * seconds);
    let total = match (total, config.training.budget.max_seconds) {
        (Some(total), Some(bound)) => Some(total.min(bound)),
        (total, _) => total,
    };
    Ok(DryRun {
        parameters,
        batch_size: trainee.batch_size(),
        seconds_per_step: seconds,
        loss,
        total_seconds: total,
    })
}
