//! The samplers and the loop they share.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DiffusionSampling, StepPlan, consistency};
use crate::network_input::{NetworkTime, step_level};

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

/// A sampler that draws nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("sampler: clip must be positive and finite, found {0}")]
pub struct InvalidClip(pub f64);

/// The state of a sampler after a step.
#[derive(Clone, Debug)]
pub struct StepState<'a> {
    /// Steps done, from 1.
    pub step: usize,
    /// Steps of the plan.
    pub num_steps: usize,
    /// The samples so far, `[B, C, H, W]`.
    pub x: &'a Tensor<4>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::Euler { base_level_only: false }
    }
}

impl Sampler {
    /// Checks the numbers of a sampler that comes from a file.
    ///
    /// # Errors
    /// The bound on the estimates of the data is no positive number.
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

    /// Draws samples.
    ///
    /// - `noise`: standard normal noise for the start (0) and for a step (from 1),
    ///   `[B, C, H, W]`; a deterministic sampler asks for the start alone
    /// - `network`: what the network answers for a batch and a time
    /// - `observer`: sees every state and may stop, which returns `None`
    pub fn sample(
        &self,
        plan: &StepPlan,
        mut noise: impl FnMut(u64) -> Tensor<4>,
        mut network: impl FnMut(Tensor<4>, NetworkTime) -> Tensor<4>,
        mut observer: impl FnMut(StepState<'_>) -> ControlFlow<()>,
    ) -> Option<Tensor<4>> {
        let times = self.times(plan);
        let num_steps = times.len();
        let mut x = noise(0);
        for (index, (&time, plan_step)) in times.iter().zip(plan.steps()).enumerate() {
            let answer = network(x.clone(), time);
            let next = times.get(index + 1).map(|time| time.t);
            let fresh = || noise(index as u64 + 1);
            x = match self {
                Self::Euler { .. } => x + answer * plan_step.size(),
                Self::Consistency => {
                    consistency::step(x, answer, time.t, next.unwrap_or(1.0), fresh)
                }
                Self::Ddim(process) => process.ddim_step(x, answer, time.t, next),
                Self::Ddpm(process) => process.ddpm_step(x, answer, time.t, next, fresh),
            };
            let state = StepState { step: index + 1, num_steps, x: &x };
            if observer(state).is_break() {
                return None;
            }
        }
        Some(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{NoiseSchedule, Prediction};
    use burn::tensor::{Device, Tolerance};

    fn plan(n: usize) -> StepPlan {
        StepPlan::new(n).expect("in range")
    }

    #[test]
    fn a_constant_field_is_followed_exactly_for_any_step_count() {
        let device = Device::flex();
        for n in [1, 3, 6, 128] {
            for base_level_only in [false, true] {
                let x = Sampler::Euler { base_level_only }.sample(
                    &plan(n),
                    |_| Tensor::<4>::zeros([2, 1, 1, 1], &device),
                    |x, time| {
                        assert!(!base_level_only || time.is_base_level());
                        x.zeros_like() + 3.0
                    },
                    |_| ControlFlow::Continue(()),
                );
                let expected = Tensor::<4>::full([2, 1, 1, 1], 3.0, &device);
                x.expect("not stopped")
                    .to_data()
                    .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
            }
        }
    }

    /// If all data is one point, every perfect network of every kind leads there.
    #[test]
    fn a_perfect_network_leads_every_sampler_to_the_data() {
        const POINT: f64 = 1.5;
        let device = Device::flex();
        let mut samplers = vec![Sampler::Consistency];
        for schedule in [NoiseSchedule::Linear, NoiseSchedule::Cosine] {
            for prediction in [Prediction::Epsilon, Prediction::V] {
                let process = DiffusionSampling { schedule, prediction, clip: 4.0 };
                samplers.extend([Sampler::Ddim(process), Sampler::Ddpm(process)]);
            }
        }
        for sampler in samplers {
            for n in [1, 2, 5, 128] {
                let network = |x: Tensor<4>, time: NetworkTime| match &sampler {
                    Sampler::Ddim(process) | Sampler::Ddpm(process) => {
                        let (signal, noise) = process.schedule.signal_and_noise(time.t);
                        let epsilon = (x - signal * POINT) / noise;
                        match process.prediction {
                            Prediction::Epsilon => epsilon,
                            Prediction::V => epsilon * signal - noise * POINT,
                        }
                    }
                    _ => (x.neg() + POINT) / (1.0 - time.t),
                };
                let x = sampler.sample(
                    &plan(n),
                    |step| Tensor::full([2, 1, 1, 1], 0.3 - 0.1 * step as f64, &device),
                    network,
                    |_| ControlFlow::Continue(()),
                );
                let expected = Tensor::<4>::full([2, 1, 1, 1], POINT, &device);
                x.expect("not stopped")
                    .to_data()
                    .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(5e-3));
            }
        }
    }

    #[test]
    fn the_observer_stops_it() {
        let mut seen = 0;
        let stopped = Sampler::default().sample(
            &plan(8),
            |_| Tensor::<4>::zeros([1, 1, 1, 1], &Device::flex()),
            |x, _| x,
            |state| {
                seen = state.step;
                if state.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert!(stopped.is_none());
        assert_eq!(seen, 3);
    }

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
