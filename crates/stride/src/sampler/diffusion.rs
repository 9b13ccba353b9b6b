//! The classic diffusion process: noise schedules, and steps of DDIM and DDPM.
//!
//! A step index n in 0..1000 counts noise: 0 is almost data, 999 almost noise. The network sees it
//! as the time t = 1 - (n + 1) / 1000, so that here too t = 0 is noise and larger t is cleaner.

use std::sync::LazyLock;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::network_input::NetworkTime;

/// Steps of the forward process.
pub const NUM_DIFFUSION_STEPS: usize = 1000;

/// How the noise grows with the step index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSchedule {
    /// beta rises linearly from 1e-4 to 0.02.
    ///
    /// # Source
    /// Denoising Diffusion Probabilistic Models (Ho et al. 2020, arXiv 2006.11239), section 4.
    #[default]
    Linear,
    /// The signal's fraction of the variance follows a squared cosine; beta is at most 0.999.
    ///
    /// # Source
    /// Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal 2021,
    /// arXiv 2102.09672), equation 17.
    Cosine,
}

/// What the network of a diffusion model predicts, with x_t = a x_1 + b x_0, a^2 + b^2 = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise x_0.
    #[default]
    Epsilon,
    /// v = a x_0 - b x_1.
    ///
    /// # Source
    /// Progressive Distillation (Salimans and Ho 2022, arXiv 2202.00512), section 4.
    V,
}

/// What a diffusion model's sampler must know of its training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffusionSampling {
    /// The noise schedule.
    pub schedule: NoiseSchedule,
    /// What the network predicts.
    pub prediction: Prediction,
    /// Estimates of the data are clamped to this magnitude (latents of unit scale).
    pub clip: f64,
}

/// The time that the network sees for a step index.
pub(crate) fn diffusion_time(index: usize) -> f64 {
    1.0 - (index + 1) as f64 / NUM_DIFFUSION_STEPS as f64
}

/// The step index whose time is nearest to t.
pub(crate) fn diffusion_index(t: f64) -> usize {
    let last = (NUM_DIFFUSION_STEPS - 1) as f64;
    ((1.0 - t) * NUM_DIFFUSION_STEPS as f64 - 1.0).round().clamp(0.0, last) as usize
}

impl NoiseSchedule {
    /// The signal's fraction of the variance of x_t at a step index: the product of 1 - beta up to it.
    pub fn signal_variance(self, index: usize) -> f64 {
        static LINEAR: LazyLock<Vec<f64>> = LazyLock::new(|| running_product(linear_beta));
        static COSINE: LazyLock<Vec<f64>> = LazyLock::new(|| running_product(cosine_beta));
        match self {
            Self::Linear => LINEAR[index],
            Self::Cosine => COSINE[index],
        }
    }

    /// The factors a of x_1 and b of x_0 in x_t, by the network's time.
    pub fn signal_and_noise(self, t: f64) -> (f64, f64) {
        let variance = self.signal_variance(diffusion_index(t));
        (variance.sqrt(), (1.0 - variance).sqrt())
    }
}

fn linear_beta(index: usize) -> f64 {
    1e-4 + (0.02 - 1e-4) * index as f64 / (NUM_DIFFUSION_STEPS - 1) as f64
}

fn cosine_beta(index: usize) -> f64 {
    let squared_cosine = |n: usize| {
        let done = n as f64 / NUM_DIFFUSION_STEPS as f64;
        ((done + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
    };
    (1.0 - squared_cosine(index + 1) / squared_cosine(index)).min(0.999)
}

/// The products of 1 - beta up to every step index.
fn running_product(beta: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut product = 1.0;
    let step = |index| {
        product *= 1.0 - beta(index);
        product
    };
    (0..NUM_DIFFUSION_STEPS).map(step).collect()
}

impl DiffusionSampling {
    /// The times of n steps: evenly spaced indices that begin at 999, the noisiest.
    pub(super) fn times(n: usize) -> Vec<NetworkTime> {
        let index = |step: usize| {
            let noisiness = (n - step) as f64 / n as f64;
            (NUM_DIFFUSION_STEPS as f64 * noisiness).round() as usize - 1
        };
        (0..n).map(|step| NetworkTime::base(diffusion_time(index(step)))).collect()
    }

    /// A deterministic step to the time `next`, or to data.
    ///
    /// # Source
    /// Denoising Diffusion Implicit Models (Song et al. 2020, arXiv 2010.02502), equation 12
    /// with sigma = 0.
    /// # Deviations
    /// The estimate of the data is clamped, and the noise is not computed again from it.
    pub(super) fn ddim_step(
        &self,
        x: Tensor<4>,
        answer: Tensor<4>,
        t: f64,
        next: Option<f64>,
    ) -> Tensor<4> {
        let (x_1, epsilon) = self.estimates(x, answer, t);
        match next.map(|next| self.schedule.signal_and_noise(next)) {
            Some((signal, noise)) => x_1 * signal + epsilon * noise,
            None => x_1,
        }
    }

    /// A step drawn from the posterior of the forward process, to the time `next` or to data.
    ///
    /// # Source
    /// Denoising Diffusion Probabilistic Models (Ho et al. 2020, arXiv 2006.11239), equations 6
    /// and 7, between indices that need not be neighbours.
    pub(super) fn ddpm_step(
        &self,
        x: Tensor<4>,
        answer: Tensor<4>,
        t: f64,
        next: Option<f64>,
        noise: impl FnOnce() -> Tensor<4>,
    ) -> Tensor<4> {
        let (x_1, _) = self.estimates(x.clone(), answer, t);
        let Some(next) = next else { return x_1 };
        let here = self.schedule.signal_variance(diffusion_index(t));
        let there = self.schedule.signal_variance(diffusion_index(next));
        let ratio = here / there;
        let mean = x_1 * (there.sqrt() * (1.0 - ratio) / (1.0 - here))
            + x * (ratio.sqrt() * (1.0 - there) / (1.0 - here));
        mean + noise() * ((1.0 - there) / (1.0 - here) * (1.0 - ratio)).sqrt()
    }

    /// The data x_1, clamped, and the noise x_0 that an answer stands for.
    fn estimates(&self, x: Tensor<4>, answer: Tensor<4>, t: f64) -> (Tensor<4>, Tensor<4>) {
        let (signal, noise) = self.schedule.signal_and_noise(t);
        let (x_1, epsilon) = match self.prediction {
            Prediction::Epsilon => ((x - answer.clone() * noise) / signal, answer),
            Prediction::V => {
                (x.clone() * signal - answer.clone() * noise, x * noise + answer * signal)
            }
        };
        (x_1.clamp(-self.clip, self.clip), epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_have_their_published_ends() {
        // Ho et al. state a prior term of about 1e-5 bits; alpha-bar of the last step is 4.04e-5.
        let linear = NoiseSchedule::Linear.signal_variance(999);
        assert!((linear / 4.036e-5 - 1.0).abs() < 1e-2, "{linear}");
        let middle = NoiseSchedule::Cosine.signal_variance(499);
        assert!((middle - 0.4938).abs() < 1e-3, "{middle}");
        for schedule in [NoiseSchedule::Linear, NoiseSchedule::Cosine] {
            let values: Vec<f64> = (0..1000).map(|n| schedule.signal_variance(n)).collect();
            assert!(values.windows(2).all(|pair| pair[1] < pair[0]));
            assert!(values[0] > 0.999 && values[999] > 0.0);
        }
    }

    #[test]
    fn time_and_index_are_inverse_and_noise_is_at_zero() {
        assert!((0..1000).all(|n| diffusion_index(diffusion_time(n)) == n));
        assert_eq!(diffusion_time(999), 0.0);
        for n in [1, 7, 128] {
            let times = DiffusionSampling::times(n);
            assert_eq!((times.len(), times[0].t), (n, 0.0));
            assert!(times.windows(2).all(|pair| pair[0].t < pair[1].t));
        }
    }
}
