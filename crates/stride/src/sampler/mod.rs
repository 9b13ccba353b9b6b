//! From noise to data in any number of steps.

mod euler;
mod step_plan;

pub use euler::{StepState, euler};
pub use step_plan::{InvalidStepCount, Step, StepPlan};
