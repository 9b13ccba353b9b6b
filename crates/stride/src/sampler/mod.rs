//! From noise to data in any number of steps.
//!
//! A [`StepPlan`] cuts [0, 1] into steps, a [`Sampler`] says what the network is asked for at each of
//! them, and a [`Trajectory`] takes samples along, a step at a time.

mod diffusion;
mod guidance;
mod step_plan;
mod trajectory;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use crate::network_input::NetworkTime;
pub use diffusion::{DiffusionSampling, NUM_DIFFUSION_STEPS, NoiseSchedule, Prediction};
pub use guidance::{Guidance, GuidancePass, MAX_CFG_SCALE};
pub use step_plan::{InvalidStepCount, Step, StepPlan};
pub use trajectory::Trajectory;

use crate::network_input::step_level;
pub(crate) use diffusion::{diffusion_index, diffusion_time};

/// How a model is sampled; its objective decides, and `model_index.json` tells.
///
/// Every sampler asks the network once per step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampler {
    /// Follows x <- x + d s(x, t, d) through the plan.
    ///
    /// # Source
    /// One Step Diffusion via Shortcut Models (Frans et al. 2024, arXiv 2410.12557), algorithm 2.
    Euler {
        /// Asks for d = 1/128 at every step: the network was trained for no other.
        #[serde(default)]
        base_level_only: bool,
    },
    /// Predicts the data and adds fresh noise for the next time, at equally spaced times.
    Consistency,
    /// The deterministic sampler of diffusion models.
    Ddim(DiffusionSampling),
    /// The ancestral sampler of diffusion models.
    Ddpm(DiffusionSampling),
}

/// A sampler whose setting is out of range.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("sampler: clip must be positive and finite, found {0}")]
pub struct InvalidClip(pub f64);

impl Default for Sampler {
    fn default() -> Self {
        Self::Euler { base_level_only: false }
    }
}

impl Sampler {
    /// Checks the numbers of a sampler that comes from a file.
    ///
    /// # Errors
    /// The bound on the estimates of the data is not a positive number.
    pub fn validate(&self) -> Result<(), InvalidClip> {
        match self {
            Self::Ddim(process) | Self::Ddpm(process)
                if !(process.clip.is_finite() && process.clip > 0.0) =>
            {
                Err(InvalidClip(process.clip))
            }
            _ => Ok(()),
        }
    }

    /// What the network will be asked for, step by step.
    pub fn times(&self, plan: &StepPlan) -> Vec<NetworkTime> {
        let n = plan.len();
        match self {
            Self::Euler { base_level_only: true } => {
                plan.steps().iter().map(|step| NetworkTime::base(step.t)).collect()
            }
            Self::Euler { base_level_only: false } => {
                let time = |k| f64::from(k);
                let steps = plan.steps().iter();
                steps.map(|s| NetworkTime { t: s.t, log2_steps: time(s.log2_steps) }).collect()
            }
            Self::Consistency => (0..n)
                .map(|i| i as f64 / n as f64)
                .map(|t| NetworkTime { t, log2_steps: step_level(1.0 - t) })
                .collect(),
            Self::Ddim(_) | Self::Ddpm(_) => DiffusionSampling::times(n),
        }
    }

    /// Its name, as image metadata has it.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Euler { base_level_only: false } => "Euler shortcut",
            Self::Euler { base_level_only: true } => "Euler",
            Self::Consistency => "multistep consistency",
            Self::Ddim(_) => "DDIM",
            Self::Ddpm(_) => "DDPM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_can_name_every_sampler() {
        let read = |text: &str| serde_json::from_str::<Sampler>(text).expect("known");
        assert_eq!(read(r#"{"kind": "euler"}"#), Sampler::default());
        let text = r#"{"kind": "ddim", "schedule": "cosine", "prediction": "v", "clip": 4.0}"#;
        assert!(
            matches!(read(text), Sampler::Ddim(process) if process.prediction == Prediction::V)
        );
        for unknown in [r#"{"kind": "ddim", "scale": 1}"#, r#"{"kind": "euler", "clip": 4.0}"#] {
            assert!(serde_json::from_str::<Sampler>(unknown).is_err(), "{unknown}");
        }
        let negative = read(&text.replace("4.0", "-1.0"));
        assert_eq!(negative.validate(), Err(InvalidClip(-1.0)));
        assert_eq!(read(text).validate(), Ok(()));
    }
}
