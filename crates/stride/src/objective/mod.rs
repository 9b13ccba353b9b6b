//! What the transformer is trained to predict.
//!
//! An objective turns a batch of latents into [`TrainingTargets`]; the trainer takes a mean
//! squared error over them and knows no more about it.

mod config;
mod flow_matching;
mod rows;
mod shortcut;
mod targets;

pub use config::{FlowTime, LevelAllocation, ObjectiveConfig, ObjectiveError, ShortcutConfig};
pub use rows::{Row, RowKind, plan_rows};
pub use targets::{Conditioning, RowLosses, TrainingTargets, training_targets};

/// The number of steps of the finest sampler; its step size stands for d = 0.
pub const BASE_STEPS: usize = 128;

/// log2 of [`BASE_STEPS`]: the level k of the flow-matching rows. Levels k = 0..=6 are trained
/// by self-consistency.
pub const BASE_LEVEL: u32 = BASE_STEPS.ilog2();
