//! Starts a run of any kind, in full or as a dry run.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::module::Module;

use super::checkpoint::Resume;
use super::config::{LoopConfig, RunConfig, TaskConfig};
use super::progress::Progress;
use super::state::TrainState;
use super::task::TrainingTask;
use super::train_loop::{RunContext, RunSummary, time_steps, train_loop};
use crate::TrainError;
use crate::classifier::ClassifierTrainer;
use crate::dit::DitTrainer;
use crate::vae::VaeTrainer;

/// Trains as a configuration file says.
///
/// `overrides` are `section.key=value` settings applied to the file; `run_dir` replaces the file's.
/// Setting `stop` ends the run after the present step, with a checkpoint.
///
/// # Errors
/// When the configuration, the data or the checkpoint does not fit, the loss is not finite any more, or the
/// disk refuses.
pub fn run(
    config: &Path,
    overrides: &[String],
    resume: Option<&Resume>,
    run_dir: Option<&Path>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let mut config = RunConfig::load(config, overrides)?;
    if let Some(run_dir) = run_dir {
        config.run_dir = run_dir.to_owned();
    }
    train(&config, resume, progress, stop)
}

/// Trains as a configuration says.
///
/// # Errors
/// As [`run`].
pub fn train(
    config: &RunConfig,
    resume: Option<&Resume>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    if resume.is_none() && config.training.budget.max_steps.is_none() {
        return Err(TrainError::NoSteps);
    }
    fs::create_dir_all(&config.run_dir).map_err(TrainError::io(&config.run_dir))?;
    let config_text = config.to_toml()?;
    let config_path = config.run_dir.join("config.toml");
    fs::write(&config_path, &config_text).map_err(TrainError::io(&config_path))?;
    start(config, progress, stop)?.train(RunContext {
        config: &config.training,
        config_text: &config_text,
        run_dir: &config.run_dir,
        resume,
        progress,
        stop,
    })
}

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
    /// Seconds of the whole run, without reports and checkpoints.
    pub total_seconds: f64,
}

/// Steps of a dry run: the first one is slower, since memory is touched for the first time.
const DRY_STEPS: u64 = 4;

/// Reads configuration, data and weights as a run would, and makes a few steps that nobody keeps.
///
/// Nothing is written into the run folder. Latents are made where they are missing, as in a run, unless `stop` is set.
///
/// # Errors
/// As [`train`].
pub fn dry_run(
    config: &RunConfig,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<DryRun, TrainError> {
    start(config, progress, stop)?.dry_run(&config.training)
}

/// A task and the state it starts from, whichever kind it is.
trait Start {
    fn train(self: Box<Self>, context: RunContext<'_>) -> Result<RunSummary, TrainError>;
    fn dry_run(self: Box<Self>, config: &LoopConfig) -> Result<DryRun, TrainError>;
}

/// Reads data and weights and makes the networks.
fn start(
    run: &RunConfig,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Box<dyn Start>, TrainError> {
    let device = run.training.device.device();
    Ok(match run.task().map_err(|problem| run.problem(problem))? {
        TaskConfig::Vae(config) => Box::new(VaeTrainer::new(run, config, device)?),
        TaskConfig::Dit(config) => Box::new(DitTrainer::new(run, config, device, progress, stop)?),
        TaskConfig::Classifier(config) => Box::new(ClassifierTrainer::new(run, config, device)?),
    })
}

impl<T: TrainingTask> Start for (T, TrainState<T::Model>) {
    fn train(self: Box<Self>, context: RunContext<'_>) -> Result<RunSummary, TrainError> {
        let (mut task, state) = *self;
        train_loop(&mut task, state, context)
    }

    fn dry_run(self: Box<Self>, config: &LoopConfig) -> Result<DryRun, TrainError> {
        let (task, state) = *self;
        let max_steps = config.budget.max_steps.ok_or(TrainError::NoSteps)?;
        let parameters = state.model().num_params();
        let (seconds_per_step, loss) = time_steps(&task, state, config, DRY_STEPS)?;
        let bound = config.budget.max_seconds.unwrap_or(f64::INFINITY);
        let total_seconds = (max_steps as f64 * seconds_per_step).min(bound);
        let batch_size = task.batch_size();
        Ok(DryRun { parameters, batch_size, seconds_per_step, loss, total_seconds })
    }
}
