//! What drives every kind of training: configuration, loop, metrics, checkpoints, a look ahead.

mod checkpoint;
mod config;
mod dry_run;
mod layers;
mod metrics;
mod output;
mod progress;
mod state;
mod task;
mod train_loop;

pub use checkpoint::{Checkpoint, Resume, TrainerState};
pub use config::{DataConfig, LoopConfig, OutputConfig, RunConfig, RunKind};
pub use dry_run::{DryRun, dry_run};
pub use metrics::Metrics;
pub(crate) use output::write_sheet;
pub use progress::{LogProgress, Progress, ProgressUpdate};
pub use state::{TrainState, load_module};
pub use task::{LossPart, StepInfo, StepLoss, TrainingTask};
pub use train_loop::{RunContext, RunSummary, train_loop};
