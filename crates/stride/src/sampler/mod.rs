//! From noise to data in any number of steps.

mod consistency;
mod diffusion;
mod guidance;
mod sample;
mod step_plan;

pub use crate::network_input::NetworkTime;
pub use diffusion::{DiffusionSampling, NUM_DIFFUSION_STEPS, NoiseSchedule, Prediction};
pub use guidance::{Guidance, GuidancePass};
pub use sample::{InvalidClip, Sampler, StepState};
pub use step_plan::{InvalidStepCount, Step, StepPlan};

pub(crate) use diffusion::{diffusion_index, diffusion_time};
