//! Samples on their way from noise to data, a step at a time.

use std::fmt;

use burn::tensor::Tensor;

use super::{Sampler, StepPlan};
use crate::network_input::NetworkTime;

/// Samples on their way from noise to data.
///
/// Whoever drives it asks the network about [`state`](Self::state) at [`time`](Self::time) and hands the
/// answer to [`advance`](Self::advance), until there is no time left. The states of several
/// trajectories, of any samplers and step counts, may be the rows of one forward pass.
pub struct Trajectory {
    sampler: Sampler,
    plan: StepPlan,
    times: Vec<NetworkTime>,
    noise: Box<dyn Fn(u64) -> Tensor<4> + Send>,
    state: Tensor<4>,
    num_done: usize,
}

impl Sampler {
    /// Samples at t = 0.
    ///
    /// `noise` draws standard normal noise `[B, C, H, W]` for the start (0) and for a step (from 1);
    /// a deterministic sampler asks for the start alone.
    pub fn start(
        &self,
        plan: StepPlan,
        noise: impl Fn(u64) -> Tensor<4> + Send + 'static,
    ) -> Trajectory {
        Trajectory {
            sampler: *self,
            times: self.times(&plan),
            plan,
            state: noise(0),
            noise: Box::new(noise),
            num_done: 0,
        }
    }

    /// Samples that begin at data, made as noisy as the state before step `num_skipped` of the plan: at the time t
    /// of that step x_t = (1 - t) x_0 + t x_1, or as the noise schedule of a diffusion model mixes them.
    ///
    /// `x_1` is the data, `[B, C, H, W]`; `noise` is as in [`start`](Self::start).
    ///
    /// # Panics
    /// No step would be left.
    pub fn start_at_data(
        &self,
        plan: StepPlan,
        x_1: Tensor<4>,
        num_skipped: usize,
        noise: impl Fn(u64) -> Tensor<4> + Send + 'static,
    ) -> Trajectory {
        let mut trajectory = self.start(plan, noise);
        let t = trajectory.times[num_skipped].t;
        let (signal, amount) = match self {
            Self::Euler { .. } | Self::Consistency => (t, 1.0 - t),
            Self::Ddim(process) | Self::Ddpm(process) => process.schedule.signal_and_noise(t),
        };
        trajectory.state = x_1 * signal + trajectory.state * amount;
        trajectory.num_done = num_skipped;
        trajectory
    }
}

impl Trajectory {
    /// What the network is asked for next; nothing after the last step.
    pub fn time(&self) -> Option<NetworkTime> {
        self.times.get(self.num_done).copied()
    }

    /// The samples so far, `[B, C, H, W]`.
    pub fn state(&self) -> &Tensor<4> {
        &self.state
    }

    /// Steps done, and those that were skipped.
    pub fn num_done(&self) -> usize {
        self.num_done
    }

    /// Steps from noise to data.
    pub fn num_steps(&self) -> usize {
        self.times.len()
    }

    /// Takes a step, given the network's answer, `[B, C, H, W]`.
    ///
    /// # Panics
    /// The last step is done already.
    pub fn advance(&mut self, output: Tensor<4>) {
        let index = self.num_done;
        let (t, step) = (self.times[index].t, self.plan.steps()[index]);
        let next = self.times.get(index + 1).map(|time| time.t);
        let x = self.state.clone();
        let fresh = || (self.noise)(index as u64 + 1);
        self.state = match &self.sampler {
            Sampler::Euler { .. } => x + output * step.size(),
            Sampler::Consistency => consistency_step(x, output, t, next, fresh),
            Sampler::Ddim(process) => process.ddim_step(x, output, t, next),
            Sampler::Ddpm(process) => process.ddpm_step(x, output, t, next, fresh),
        };
        self.num_done += 1;
    }
}

impl fmt::Debug for Trajectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sampler, num_done, times, .. } = self;
        write!(f, "Trajectory({sampler:?}, {num_done} of {} steps)", times.len())
    }
}

/// x_1 = x + (1 - t) s(x, t, 1 - t); the next state is (1 - t') x_0' + t' x_1 with fresh noise
/// x_0', and x_1 itself after the last step.
///
/// `velocity` is s, `t` and `next` are t and t', `noise` draws x_0'.
///
/// # Source
/// Consistency Models (Song et al. 2023, arXiv 2303.01469), algorithm 1, on the straight path.
fn consistency_step(
    x: Tensor<4>,
    velocity: Tensor<4>,
    t: f64,
    next: Option<f64>,
    noise: impl FnOnce() -> Tensor<4>,
) -> Tensor<4> {
    let x_1 = x + velocity * (1.0 - t);
    match next {
        Some(next) => noise() * (1.0 - next) + x_1 * next,
        None => x_1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{DiffusionSampling, NoiseSchedule, Prediction};
    use burn::tensor::{Device, Tolerance};

    /// Samples of one number each, drawn by a network that is a function of state and time.
    fn draw(
        sampler: Sampler,
        num_steps: usize,
        noise: impl Fn(u64) -> f64 + Send + 'static,
        network: impl Fn(Tensor<4>, NetworkTime) -> Tensor<4>,
    ) -> Tensor<4> {
        let plan = StepPlan::new(num_steps).expect("in range");
        let noise = move |step| Tensor::full([2, 1, 1, 1], noise(step), &Device::flex());
        let mut trajectory = sampler.start(plan, noise);
        assert_eq!(trajectory.num_steps(), num_steps);
        while let Some(time) = trajectory.time() {
            trajectory.advance(network(trajectory.state().clone(), time));
        }
        assert_eq!(trajectory.num_done(), num_steps);
        trajectory.state().clone()
    }

    fn check(found: Tensor<4>, expected: f64, tolerance: f64) {
        let expected = Tensor::<4>::full([2, 1, 1, 1], expected, &Device::flex());
        let tolerance = Tolerance::absolute(tolerance);
        found.to_data().assert_approx_eq::<f32>(&expected.to_data(), tolerance);
    }

    #[test]
    fn a_constant_field_is_followed_exactly_for_any_step_count() {
        for n in [1, 3, 6, 128] {
            for base_level_only in [false, true] {
                let network = |x: Tensor<4>, time: NetworkTime| {
                    assert!(!base_level_only || time.is_base_level());
                    x.zeros_like() + 3.0
                };
                check(draw(Sampler::Euler { base_level_only }, n, |_| 0.0, network), 3.0, 1e-5);
            }
        }
    }

    #[test]
    fn samples_that_begin_at_data_are_as_noisy_as_their_time() {
        let process = DiffusionSampling {
            schedule: NoiseSchedule::Linear,
            prediction: Prediction::Epsilon,
            clip: 4.0,
        };
        let data = || Tensor::full([2, 1, 1, 1], 3.0, &Device::flex());
        let noise = |_| Tensor::full([2, 1, 1, 1], -1.0, &Device::flex());
        for sampler in [Sampler::default(), Sampler::Consistency, Sampler::Ddim(process)] {
            for skipped in 0..4 {
                let plan = StepPlan::new(4).expect("in range");
                let trajectory = sampler.start_at_data(plan, data(), skipped, noise);
                let t = trajectory.time().expect("steps are left").t;
                let (signal, amount) = match sampler {
                    Sampler::Ddim(_) => process.schedule.signal_and_noise(t),
                    _ => (t, 1.0 - t),
                };
                check(trajectory.state().clone(), 3.0 * signal - amount, 1e-5);
                assert_eq!((trajectory.num_done(), trajectory.num_steps()), (skipped, 4));
            }
        }
    }

    /// If all data is one point, every perfect network of every kind leads there.
    #[test]
    fn a_perfect_network_leads_every_sampler_to_the_data() {
        const POINT: f64 = 1.5;
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
                check(draw(sampler, n, |step| 0.3 - 0.1 * step as f64, network), POINT, 5e-3);
            }
        }
    }
}
