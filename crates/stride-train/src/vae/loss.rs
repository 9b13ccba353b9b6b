//! The loss of an autoencoder: errors of the reconstruction, and the pull on the latents.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::lines::line_weights;
use crate::error::check;

/// Weights of the terms of the reconstruction error and of the pull on the latents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaeLossConfig {
    /// Mean absolute error.
    pub l1: f64,
    /// Mean absolute error of the image at half and at a quarter of its size, each.
    pub multi_scale_l1: f64,
    /// Mean absolute error of differences between neighbouring pixels.
    pub gradient_l1: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Mean squared error at a quarter of the size, which settles colours.
    pub multi_scale_mse: f64,
    /// The error of fine detail, counted more where the image itself has little contrast.
    pub contrast: f64,
    /// How much more the absolute and the squared error of a pixel count on a thin black line on white than
    /// elsewhere; of any line, in proportion to its contrast. 0, without a pass over the image, counts all alike.
    pub lines: f64,
    /// The same error for latents at half their size, which the decoder must turn into the image at half its size;
    /// 0, without that pass, does not ask for it.
    pub scale_equivariance: f64,
    /// The pull of the latents towards N(0, 1).
    pub kl: f64,
}

impl VaeLossConfig {
    pub(super) fn validate(&self) -> Result<(), String> {
        for (field, weight) in [
            ("vae.loss.l1", self.l1),
            ("vae.loss.multi_scale_l1", self.multi_scale_l1),
            ("vae.loss.gradient_l1", self.gradient_l1),
            ("vae.loss.mse", self.mse),
            ("vae.loss.multi_scale_mse", self.multi_scale_mse),
            ("vae.loss.contrast", self.contrast),
            ("vae.loss.lines", self.lines),
            ("vae.loss.scale_equivariance", self.scale_equivariance),
            ("vae.loss.kl", self.kl),
        ] {
            check(weight >= 0.0 && weight.is_finite(), field, "finite, at least 0")?;
        }
        Ok(())
    }
}

impl Default for VaeLossConfig {
    fn default() -> Self {
        Self {
            l1: 1.0,
            multi_scale_l1: 0.5,
            gradient_l1: 0.5,
            mse: 2.0,
            multi_scale_mse: 1.0,
            contrast: 0.5,
            lines: 0.0,
            scale_equivariance: 0.0,
            kl: 1e-3,
        }
    }
}

/// The weighted error of a reconstruction; both images are `[B, 3, H, W]` in [-1, 1], H and W
/// multiples of 4.
///
/// All terms but the contrast term are linear functions of the error followed by a norm, so that one pyramid
/// of the error serves them all.
pub(super) fn reconstruction_loss(
    config: &VaeLossConfig,
    reconstruction: Tensor<4>,
    target: &Tensor<4>,
) -> Tensor<1> {
    let error = reconstruction.sub(target.clone());
    let half = block_mean(error.clone());
    let quarter = block_mean(half.clone());
    let [_, _, height, width] = error.dims();
    let down = error.clone().narrow(2, 1, height - 1).sub(error.clone().narrow(2, 0, height - 1));
    let across = error.clone().narrow(3, 1, width - 1).sub(error.clone().narrow(3, 0, width - 1));
    let lines = (config.lines > 0.0).then(|| line_weights(target, config.lines));
    let weighted = |error: Tensor<4>| match &lines {
        Some(weights) => error.mul(weights.clone()),
        None => error,
    };
    let mut loss = weighted(error.clone().abs()).mean().mul_scalar(config.l1);
    loss = loss.add(
        half.clone()
            .abs()
            .mean()
            .add(quarter.clone().abs().mean())
            .mul_scalar(config.multi_scale_l1),
    );
    loss =
        loss.add(down.abs().mean().add(across.abs().mean()).mul_scalar(config.gradient_l1 * 0.5));
    loss = loss.add(weighted(error.clone().square()).mean().mul_scalar(config.mse));
    loss = loss.add(quarter.square().mean().mul_scalar(config.multi_scale_mse));
    if config.contrast > 0.0 {
        let target_half = block_mean(target.clone());
        let contrast = contrast_error(error, target.clone()).add(contrast_error(half, target_half));
        loss = loss.add(contrast.mul_scalar(config.contrast));
    }
    loss
}

/// The error of fine detail, counted more where the image itself has little contrast.
///
/// With `d(x)` the deviation of each pixel from the mean of its 2x2 block and `a` the mean of `|d(target)|`
/// over the block: `mean( c |d(error)| / (a + c) )`, `c = 0.1`.
///
/// This is one level of the normalised Laplacian pyramid distance (Laparra, Ballé, Berardino and Simoncelli, 2016:
/// bands divided by the local amplitude, which models masking in early vision), with 2x2 blocks for its 5x5
/// filters, since these cost one pass each on a CPU. It stands in for a perceptual network, whose
/// weights would have to be downloaded: faint lines, such as a closed eye on dark skin, have
/// small absolute error and are what plain L1 gives up first.
pub(super) fn contrast_error(error: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    const C: f64 = 0.1;
    let weight = block_mean(deviation(target).abs()).add_scalar(C).recip().mul_scalar(C);
    let [batch, channels, height, width] = weight.dims();
    let weight: Tensor<6> = weight.reshape([batch, channels, height, 1, width, 1]);
    let detail = deviation(error).abs().reshape([batch, channels, height, 2, width, 2]);
    detail.mul(weight).mean()
}

/// How far the latents of a batch are from N(0, 1), per channel: `mean of (m^2 + s^2 - 1 - ln s^2) / 2`.
///
/// `m` and `s^2` are mean and variance over the batch and all positions of `[B, C, h, w]`: the
/// Kullback-Leibler divergence of a normal with these moments. It takes the place of the posterior's divergence
/// in autoencoders without a posterior and keeps latents at the scale that the transformer's noise has.
pub(super) fn moment_kl(latents: Tensor<4>) -> Tensor<1> {
    let channels = latents.dims()[1];
    let values = latents.swap_dims(0, 1).reshape([channels as i32, -1]);
    let mean = values.clone().mean_dim(1);
    let variance = values.sub(mean.clone()).square().mean_dim(1);
    let divergence =
        mean.square().add(variance.clone()).sub(variance.add_scalar(1e-6).log()).sub_scalar(1.0);
    divergence.mean().mul_scalar(0.5)
}

/// Latents and the images that they stand for at half their size: `[B, C, h, w] -> [B, C, h/2, w/2]` and
/// `[B, 3, H, W] -> [B, 3, H/2, W/2]`, the mean of every 2x2 block.
///
/// An autoencoder is scale equivariant where decoding the ones gives the others, `D(s(E(x))) = s(x)` with `s`
/// shrinking; `scale_equivariance` weighs the [`reconstruction_loss`] between them. It takes from latents the high
/// frequencies that mean nothing in the image and that a transformer would have to learn, which the pull towards
/// N(0, 1) alone adds to.
///
/// # Source
/// Improving the Diffusability of Autoencoders (Skorokhodov et al. 2025, arXiv 2502.14831), section 4: `s` is bilinear, which
/// by 2 is the mean of 2x2 blocks.
/// # Deviations
/// Always by 2, where the paper draws factors of 2 to 4, since crops are small.
pub(super) fn shrunk(latents: Tensor<4>, target: &Tensor<4>) -> [Tensor<4>; 2] {
    [block_mean(latents), block_mean(target.clone())]
}

/// `[B, C, H, W] -> [B, C, H/2, W/2]`, the mean of every 2x2 block.
fn block_mean(x: Tensor<4>) -> Tensor<4> {
    burn::tensor::module::avg_pool2d(x, burn::tensor::ops::AvgPoolOptions::new([2, 2]))
}

/// The deviation of every pixel from the mean of its 2x2 block.
fn deviation(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let mean: Tensor<6> =
        block_mean(x.clone()).reshape([batch, channels, height / 2, 1, width / 2, 1]);
    let blocks: Tensor<6> = x.reshape([batch, channels, height / 2, 2, width / 2, 2]);
    blocks.sub(mean).reshape([batch, channels, height, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    #[test]
    fn a_perfect_reconstruction_costs_nothing() {
        let target = random([2, 3, 8, 8]);
        let loss: f32 =
            reconstruction_loss(&VaeLossConfig::default(), target.clone(), &target).into_scalar();
        assert_eq!(loss, 0.0);
    }

    #[test]
    fn a_constant_offset_is_seen_by_the_flat_terms_only() {
        let target = random([1, 3, 8, 8]);
        let config = VaeLossConfig::default();
        let loss: f32 =
            reconstruction_loss(&config, target.clone().add_scalar(0.5), &target).into_scalar();
        let expected = 0.5 * (config.l1 + 2.0 * config.multi_scale_l1)
            + 0.25 * (config.mse + config.multi_scale_mse);
        assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} {expected}");
    }

    #[test]
    fn an_error_on_a_line_costs_as_much_more_as_the_line_stands_out() {
        let device = Device::flex();
        let error_of = |column: usize| {
            Tensor::<4>::zeros([1, 3, 16, 16], &device)
                .slice_fill([0..1, 0..3, 0..16, column..column + 1], 0.1)
        };
        let white = Tensor::<4>::ones([1, 3, 16, 16], &device);
        let target = white.slice_fill([0..1, 0..3, 0..16, 8..9], -1.0);
        let config = VaeLossConfig {
            multi_scale_l1: 0.0,
            gradient_l1: 0.0,
            multi_scale_mse: 0.0,
            contrast: 0.0,
            lines: 3.0,
            ..VaeLossConfig::default()
        };
        let cost = |column: usize| {
            let reconstruction = target.clone().add(error_of(column));
            reconstruction_loss(&config, reconstruction, &target).into_scalar::<f32>()
        };
        // Luma 1 below its surroundings: 1 + 3.
        let ratio = cost(8) / cost(3);
        assert!((ratio - 4.0).abs() < 1e-4, "{ratio}");
    }

    #[test]
    fn faint_detail_counts_more_on_flat_ground() {
        let error = random([1, 3, 8, 8]).mul_scalar(0.01);
        let flat: f32 = contrast_error(error.clone(), Tensor::zeros([1, 3, 8, 8], &Device::flex()))
            .into_scalar();
        let busy: f32 = contrast_error(error.clone(), random([1, 3, 8, 8])).into_scalar();
        let plain: f32 = deviation(error).abs().mean().into_scalar();
        assert!((flat - plain).abs() < 1e-6 && busy < 0.5 * flat, "{flat} {busy} {plain}");
    }

    #[test]
    fn unit_normal_latents_have_no_divergence() {
        let latents =
            Tensor::<4>::random([8, 4, 32, 32], Distribution::Normal(0.0, 1.0), &Device::flex());
        let normal: f32 = moment_kl(latents.clone()).into_scalar();
        let wide: f32 = moment_kl(latents.mul_scalar(2.0)).into_scalar();
        assert!(normal.abs() < 1e-2, "{normal}");
        // (s^2 - 1 - ln s^2) / 2 at s = 2.
        assert!((wide - 0.807).abs() < 3e-2, "{wide}");
    }
}
