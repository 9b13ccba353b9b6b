//! Training of the autoencoder, the text encoder and the diffusion transformer, and of classifiers.
//!
//! [`run`] reads a configuration and trains. Every kind of training implements [`TrainingTask`] and is driven by
//! [`train_loop`], which owns what they share: schedule, optimizer, averages, metrics,
//! checkpoints and stopping.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

mod classifier;
mod dit;
mod error;
mod optim;
mod run;
mod vae;

pub use classifier::{ClassifierTrainConfig, ClassifierTrainer};
pub use dit::{DitInitConfig, DitTrainConfig, DitTrainer, TextToLatent};
pub use error::TrainError;
pub use optim::{
    Budget, Ema, EmaConfig, EmaDecay, LrSchedule, NamedGradients, NamedTensors, Optimizer,
    OptimizerConfig, OptimizerKind, with_own_leaves,
};
pub use run::{
    Checkpoint, DataConfig, DryRun, LogProgress, LoopConfig, LossPart, Metrics, OutputConfig,
    Progress, ProgressUpdate, Resume, RunConfig, RunContext, RunKind, RunSummary, StepInfo,
    StepLoss, TrainState, TrainerState, TrainingTask, dry_run, load_module, train_loop,
};
pub use vae::{
    ImageEncoder, VaeLossConfig, VaeTrainConfig, VaeTrainer, contrast_error, moment_kl,
    reconstruction_loss,
};

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
    fs::create_dir_all(&config.run_dir).map_err(TrainError::io(&config.run_dir))?;
    let config_text = config.to_toml()?;
    let config_path = config.run_dir.join("config.toml");
    fs::write(&config_path, &config_text).map_err(TrainError::io(&config_path))?;
    let around = RunContext {
        config: &config.training,
        config_text: &config_text,
        run_dir: &config.run_dir,
        resume,
        progress,
        stop,
    };
    match config.kind {
        RunKind::Vae => {
            let (mut trainer, state) = VaeTrainer::new(config)?;
            train_loop(&mut trainer, state, around)
        }
        RunKind::Classifier => {
            let (mut trainer, state) = ClassifierTrainer::new(config)?;
            train_loop(&mut trainer, state, around)
        }
        RunKind::Dit => {
            let (mut trainer, state) = DitTrainer::new(config, around.progress, stop)?;
            train_loop(&mut trainer, state, around)
        }
    }
}
