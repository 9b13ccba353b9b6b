//! The distribution of latents that an encoder gives.

use burn::tensor::Tensor;

/// A normal distribution with independent numbers.
#[derive(Clone, Debug)]
pub struct DiagonalGaussian {
    /// Means, `[B, C, h, w]`.
    pub mean: Tensor<4>,
    /// Logarithms of the variances, `[B, C, h, w]`, in [-30, 20].
    pub logvar: Tensor<4>,
}

impl DiagonalGaussian {
    /// From moments `[B, 2 C, h, w]`: means first, then log-variances, which are clamped.
    pub fn from_moments(moments: Tensor<4>) -> Self {
        let channels = moments.dims()[1] / 2;
        Self {
            mean: moments.clone().narrow(1, 0, channels),
            logvar: moments.narrow(1, channels, channels).clamp(-30.0, 20.0),
        }
    }

    /// mean + exp(logvar / 2) noise, with `noise` drawn from N(0, 1) by the caller.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }

    /// The most probable latents.
    pub fn mode(&self) -> Tensor<4> {
        self.mean.clone()
    }

    /// The distribution of (z - shift) factor for z drawn from this one, with a positive `factor`.
    pub fn scaled(&self, shift: f64, factor: f64) -> Self {
        Self {
            mean: (self.mean.clone() - shift) * factor,
            logvar: self.logvar.clone() + 2.0 * factor.ln(),
        }
    }

    /// The divergence from N(0, 1) per number, 1/2 (mean^2 + var - 1 - log var), averaged over
    /// everything: `[1]`.
    pub fn kl(&self) -> Tensor<1> {
        let (mean, logvar) = (self.mean.clone(), self.logvar.clone());
        ((mean.square() + logvar.clone().exp() - logvar - 1.0) * 0.5).mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_standard_normal_has_no_divergence_and_no_noise_gives_the_mode() {
        let device = Device::flex();
        let standard = DiagonalGaussian::from_moments(Tensor::zeros([1, 4, 2, 2], &device));
        assert_eq!(standard.kl().into_scalar::<f32>(), 0.0);
        let moments = Tensor::<4>::from_floats([[[[3.0]], [[100.0]]]], &device);
        let posterior = DiagonalGaussian::from_moments(moments);
        assert_eq!(posterior.logvar.clone().into_scalar::<f32>(), 20.0);
        let sample = posterior.sample(Tensor::zeros([1, 1, 1, 1], &device));
        sample.into_data().assert_eq(&posterior.mode().into_data(), true);
    }

    #[test]
    fn scaling_a_distribution_scales_its_samples() {
        let device = Device::flex();
        let moments = Tensor::<4>::from_floats([[[[3.0, -1.0]], [[-0.5, 1.5]]]], &device);
        let posterior = DiagonalGaussian::from_moments(moments);
        let noise = Tensor::<4>::from_floats([[[[0.7, -1.2]]]], &device);
        let expected = (posterior.sample(noise.clone()) - 0.25) * 0.18215;
        let scaled = posterior.scaled(0.25, 0.18215).sample(noise);
        let error = (scaled - expected).abs().max().into_scalar::<f32>();
        assert!(error < 1e-6, "{error}");
    }
}
