//! What drives every kind of training: configuration, loop, metrics, checkpoints, dry runs.

mod changes;
mod checkpoint;
mod config;
mod guard;
mod layers;
mod metrics;
mod output;
mod progress;
mod run_folder;
mod start;
mod state;
mod step;
mod task;
mod train_loop;

pub use changes::changed_settings;
pub use checkpoint::{Checkpoint, Resume, Retention, TrainerState};
pub use config::{
    DataConfig, LateCaptionsConfig, LoopConfig, MasksConfig, OutputConfig, RunConfig, RunKind,
};

pub use guard::{GuardConfig, GuardState};
pub(crate) use output::write_sheet;
pub use progress::{LogProgress, Progress, ProgressUpdate};
pub use run_folder::RunStart;
pub use start::{DryRun, dry_run, run, train};
pub use state::TrainState;
pub use task::{LossPart, StepInfo, StepLoss, TrainingTask};
pub use train_loop::{RunContext, RunSummary, train_loop};
