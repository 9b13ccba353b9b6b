//! How weights move: optimizers, learning rate over the run, averages, gradients by name.

mod ema;
mod named_tensors;
mod optimizer;
mod schedule;

pub use ema::{Ema, EmaConfig, EmaDecay};
pub(crate) use named_tensors::{GradientSum, flat_values};
pub use named_tensors::{NamedGradients, NamedTensors, with_own_leaves};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerKind};
pub use schedule::{Budget, LrSchedule, ScheduleKind};
