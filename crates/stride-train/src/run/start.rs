//! Starts a run of any kind, in full or as a dry run.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use stride_files::write_whole;

use super::changes;
use super::checkpoint::{Checkpoint, TrainerState};
use super::config::{LoopConfig, RunConfig, TaskConfig};
use super::norms::numbers_by_part;
use super::progress::Progress;
use super::run_folder::{CONFIG, RunFolder, RunStart, named_by};
use super::state::TrainState;
use super::task::TrainingTask;
use super::train_loop::{RunContext, RunSummary, time_steps, train_loop};
use crate::TrainError;
use crate::classifier::ClassifierTrainer;
use crate::dit::DitTrainer;
use crate::memory::peak_memory;
use crate::text_encoder::TextEncoderTrainer;
use crate::vae::VaeTrainer;

/// Trains as a configuration file says.
///
/// `overrides` are `section.key=value` settings applied to the file. `run_dir` replaces the file's run folder, and so
/// does that of a run which `begin` goes on with.
/// Setting `stop` ends the run after the present step, with a checkpoint.
///
/// # Errors
/// When the configuration, the data or the checkpoint does not fit, something would be lost that `begin` does not give
/// up, the loss is not finite any more, or the disk refuses.
pub fn run(
    file: &Path,
    overrides: &[String],
    begin: &RunStart,
    run_dir: Option<&Path>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let mut config = RunConfig::load(file, overrides)?;
    let run_dir = run_dir.map(Path::to_owned).or_else(|| named_by(begin.resume.as_ref()));
    if let Some(run_dir) = run_dir {
        config.run_dir = run_dir;
    }
    train(&config, begin, progress, stop).map_err(|error| error.in_file(file))
}

/// Trains as a configuration says.
///
/// Nothing is written into the run folder before everything that the run needs is read, and one that fails at once
/// leaves none behind.
///
/// # Errors
/// As [`run`].
pub fn train(
    config: &RunConfig,
    begin: &RunStart,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let folder = RunFolder::open(&config.run_dir, begin.ranks.is_leader())?;
    let summary = train_in(&folder, config, begin, progress, stop);
    if summary.is_err() && begin.ranks.is_leader() {
        folder.abandon();
    }
    summary
}

fn train_in(
    folder: &RunFolder<'_>,
    config: &RunConfig,
    begin: &RunStart,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<RunSummary, TrainError> {
    let ranks = &begin.ranks;
    let checkpoint = folder.checkpoint(begin)?;
    match &checkpoint {
        Some(checkpoint) => changes::check(config, checkpoint, begin.allow_changes, progress)?,
        None if !config.training.budget.has_steps() => return Err(TrainError::NoSteps),
        None => {}
    }
    let config_text = config.to_toml()?;
    let mut start = start(config, false, progress, stop)?;
    let mut at = TrainerState::default();
    if let Some(checkpoint) = &checkpoint {
        at = start.restore(checkpoint)?;
        let dir = checkpoint.dir().display();
        progress.message(&format!("resumed from {dir} at step {}", at.step));
    }
    // All have looked at the folder and read what they need.
    ranks.meet();
    if ranks.is_leader() {
        if begin.overwrite {
            folder.clear(checkpoint.as_ref())?;
        }
        write_whole(&config.run_dir.join(CONFIG), config_text.as_bytes())?;
    }
    start.train(RunContext {
        config: &config.training,
        config_text: &config_text,
        run_dir: &config.run_dir,
        at,
        progress,
        stop,
        ranks,
    })
}

/// What a run would be.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// The configuration with every default spelled out, as TOML.
    pub config: String,
    /// Numbers that are trained.
    pub parameters: usize,
    /// The same by part of the model, such as `dit.blocks`.
    pub parts: Vec<(String, usize)>,
    /// Bytes of memory that a run takes at most, as the few steps did; none where the system does not tell.
    pub memory: Option<u64>,
    /// Steps of the whole run.
    pub steps: u64,
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
/// Nothing is written. Where latents are missing, those of a few images are made in a temporary folder, and how long all
/// would take is a message.
///
/// # Errors
/// As [`train`].
pub fn dry_run(
    file: &Path,
    overrides: &[String],
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<DryRun, TrainError> {
    let config = RunConfig::load(file, overrides)?;
    let run =
        start(&config, true, progress, stop).and_then(|start| start.dry_run(&config.training));
    let run = run.and_then(|run| Ok(DryRun { config: config.to_toml()?, ..run }));
    run.map_err(|error| error.in_file(file))
}

/// A task and the state it starts from, whichever kind it is.
trait Start {
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<TrainerState, TrainError>;
    fn train(self: Box<Self>, context: RunContext<'_>) -> Result<RunSummary, TrainError>;
    fn dry_run(self: Box<Self>, config: &LoopConfig) -> Result<DryRun, TrainError>;
}

/// Reads data and weights and makes the networks; for a dry run, leaves nothing on disk.
fn start(
    run: &RunConfig,
    is_dry: bool,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Box<dyn Start>, TrainError> {
    let device = run.training.device()?;
    Ok(match run.task().map_err(TrainError::setting)? {
        TaskConfig::Vae(config) => Box::new(VaeTrainer::new(run, config, device)?),
        TaskConfig::Dit(config) => {
            Box::new(DitTrainer::new(run, config, device, is_dry, progress, stop)?)
        }
        TaskConfig::Classifier(config) => Box::new(ClassifierTrainer::new(run, config, device)?),
        TaskConfig::TextEncoder(config) => {
            Box::new(TextEncoderTrainer::new(run, config, device, progress)?)
        }
    })
}

impl<T: TrainingTask> Start for (T, TrainState<T::Model>) {
    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<TrainerState, TrainError> {
        self.1.restore(checkpoint)
    }

    fn train(self: Box<Self>, context: RunContext<'_>) -> Result<RunSummary, TrainError> {
        let (mut task, state) = *self;
        train_loop(&mut task, state, context)
    }

    fn dry_run(self: Box<Self>, config: &LoopConfig) -> Result<DryRun, TrainError> {
        let (task, state) = *self;
        let budget = config.budget.in_steps(task.num_train(), task.batch_size());
        let max_steps = budget.max_steps.ok_or(TrainError::NoSteps)?;
        let parameters = state.model().num_params();
        let parts = numbers_by_part(state.model());
        let (seconds_per_step, loss) = time_steps(&task, state, config, DRY_STEPS)?;
        let bound = config.budget.max_seconds.unwrap_or(f64::INFINITY);
        let total_seconds = (max_steps as f64 * seconds_per_step).min(bound);
        let batch_size = task.batch_size();
        Ok(DryRun {
            config: String::new(),
            parameters,
            parts,
            memory: peak_memory(),
            steps: max_steps,
            batch_size,
            seconds_per_step,
            loss,
            total_seconds,
        })
    }
}
