//! Training of autoencoders, of diffusion transformers with their text encoders, of text encoders on captions alone, and
//! of attribute classifiers.
//!
//! [`run`] reads a configuration and trains. Every kind of training implements [`TrainingTask`] and is driven by
//! [`train_loop`], which owns what they have in common: schedule, optimizer, averages,
//! metrics, checkpoints and stopping.

mod attributes;
mod classifier;
mod dit;
mod error;
mod initial_weights;
mod memory;
mod optim;
mod placement;
mod run;
mod text_encoder;
mod vae;

pub use classifier::ClassifierTrainConfig;
pub use dit::{DitInitConfig, DitTrainConfig, TextToLatent};
pub use error::TrainError;
pub use initial_weights::draw_weights;
pub use memory::peak_memory;
pub use optim::{
    Budget, Ema, EmaConfig, EmaDecay, LrSchedule, NamedGradients, NamedTensors, Optimizer,
    OptimizerConfig, OptimizerKind, ScheduleKind, with_own_leaves,
};
pub use run::{
    Checkpoint, DataConfig, DryRun, GuardConfig, GuardState, LateCaptionsConfig, LogProgress,
    LoopConfig, LossPart, MasksConfig, OutputConfig, Progress, ProgressUpdate, Ranks, Report,
    Resume, Retention, RowLoss, RunConfig, RunContext, RunKind, RunStart, RunSummary, StepInfo,
    StepLoss, TrainState, TrainerState, TrainingTask, changed_settings, dry_run, run, train,
    train_loop,
};
pub use text_encoder::TextEncoderTrainConfig;
pub use vae::{ImageEncoder, VaeLossConfig, VaeTrainConfig};
