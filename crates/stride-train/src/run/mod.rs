//! What drives every kind of training: configuration, loop, metrics, checkpoints, dry runs.

mod changes;
mod checkpoint;
mod config;
mod events;
mod guard;
mod layers;
mod loss_map;
mod metrics;
mod norms;
mod output;
mod progress;
mod ranks;
mod record;
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
pub use loss_map::RowLoss;
pub(crate) use output::sheet;
pub use progress::{LogProgress, Progress, ProgressUpdate};
pub use ranks::Ranks;
pub use run_folder::RunStart;
pub use start::{DryRun, dry_run, run, train};
pub use state::TrainState;
pub use task::{LossPart, Report, StepInfo, StepLoss, TrainingTask};
pub use train_loop::{RunContext, RunSummary, train_loop};
