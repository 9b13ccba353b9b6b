//! What enters the token stream: patches of the latents, their positions, and numbers such as the time.

use burn::module::{Initializer, Module};
use burn::nn::Linear;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, TensorData, module::linear};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

use super::DitConfig;
use super::init;

/// Numbers in the sinusoid of a scalar: half cosines, half sines.
const FREQUENCY_DIM: usize = 256;
/// Longest wavelength over 2 pi.
pub(super) const MAX_PERIOD: f64 = 10_000.0;

/// Projects every patch of `patch_size` x `patch_size` latent positions to one token.
///
/// The weights are those of a convolution whose stride is its kernel, as in DiT checkpoints;
/// the product runs as one matrix product over patches.
#[derive(Module, Debug)]
pub(super) struct PatchEmbed {
    proj: Conv2d,
}

impl PatchEmbed {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let p = config.patch_size;
        let (fan_in, fan_out) = (config.in_channels * p * p, config.hidden_size);
        let mut proj = Conv2dConfig::new([config.in_channels, fan_out], [p, p])
            .with_stride([p, p])
            .with_initializer(Initializer::Zeros)
            .init(device);
        // DiT initialises the projection like a linear layer over the flattened patch.
        proj.weight = Initializer::XavierUniform { gain: 1.0 }.init_with(
            [fan_out, config.in_channels, p, p],
            Some(fan_in),
            Some(fan_out),
            device,
        );
        Self { proj }
    }

    /// `[B, C, H, W]` to `[B, T, D]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [hidden_size, _, p, _] = weight.dims();
        let weight = weight.reshape([hidden_size as i32, -1]).transpose();
        let patches = patchify(x, p);
        let [b, t, n] = patches.dims();
        let tokens = linear(
            patches.reshape([b * t, n]),
            weight,
            self.proj.bias.as_ref().map(|bias| bias.val()),
        );
        tokens.reshape([b, t, hidden_size])
    }
}

/// Cuts images into patches: `[B, C, H, W]` to `[B, T, C p p]`, tokens row by row, the
/// numbers of a token in the order channel, row, column.
pub fn patchify(x: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [b, c, h, w] = x.dims();
    let (p, rows, cols) = (patch_size, h / patch_size, w / patch_size);
    x.reshape([b, c, rows, p, cols, p])
        .permute([0, 2, 4, 1, 3, 5]) // [B, rows, cols, C, p, p]
        .reshape([b, rows * cols, c * p * p])
}

/// Puts patches back: `[B, T, p p C]` to `[B, C, H, W]` with H = W, the numbers of a token in
/// the order row, column, channel.
///
/// The order differs from [`patchify`]'s, as it does in DiT, whose checkpoints have it so.
pub fn unpatchify(tokens: Tensor<3>, patch_size: usize) -> Tensor<4> {
    let [b, t, n] = tokens.dims();
    let (p, side) = (patch_size, t.isqrt());
    let c = n / (p * p);
    tokens
        .reshape([b, side, side, p, p, c])
        .permute([0, 5, 1, 3, 2, 4]) // [B, C, rows, p, cols, p]
        .reshape([b, c, side * p, side * p])
}

/// Embeds one number per image, such as the time t or the step-size level k: sinusoid, linear, SiLU,
/// linear, `[B]` to `[B, D]`.
///
/// # Source
/// DiT's `TimestepEmbedder` (facebookresearch/DiT, `models.py`): cosines before sines,
/// frequencies 10000^(-i / 128), weights from N(0, 0.02).
#[derive(Module, Debug)]
pub(super) struct ScalarEmbedder {
    linear_1: Linear,
    linear_2: Linear,
}

impl ScalarEmbedder {
    pub(super) fn new(hidden_size: usize, device: &Device) -> Self {
        Self {
            linear_1: init::normal(FREQUENCY_DIM, hidden_size, device),
            linear_2: init::normal(hidden_size, hidden_size, device),
        }
    }

    pub(super) fn forward(&self, value: Tensor<1>) -> Tensor<2> {
        let hidden = fused::linear_activate(&self.linear_1, sinusoid(value), Activation::Silu);
        fused::linear(&self.linear_2, hidden)
    }
}

/// `[B]` to `[B, 256]`.
fn sinusoid(value: Tensor<1>) -> Tensor<2> {
    let half = FREQUENCY_DIM / 2;
    let frequencies: Vec<f32> =
        (0..half).map(|i| MAX_PERIOD.powf(-(i as f64) / half as f64) as f32).collect();
    let frequencies =
        Tensor::<2>::from_data(TensorData::new(frequencies, [1, half]), &value.device());
    let angles = value.unsqueeze_dim::<2>(1) * frequencies; // [B, 128]
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}

/// Fixed 2-D position codes, `[1, side * side, dim]` with `dim` a multiple of 4.
///
/// The first half of the numbers codes the column, the second the row, each as `dim / 4` sines
/// followed by `dim / 4` cosines of position / 10000^(4 i / dim).
///
/// # Source
/// MAE's and DiT's `get_2d_sincos_pos_embed` (facebookresearch/DiT, `models.py`).
pub fn sincos_2d(side: usize, dim: usize, device: &Device) -> Tensor<3> {
    let quarter = dim / 4;
    let code = |position: usize| -> Vec<f32> {
        let angle = |i: usize| position as f64 / MAX_PERIOD.powf(i as f64 / quarter as f64);
        let part = |f: fn(f64) -> f64| (0..quarter).map(move |i| f(angle(i)) as f32);
        part(f64::sin).chain(part(f64::cos)).collect()
    };
    // A position's code stands in many tokens, and takes long to compute.
    let codes: Vec<_> = (0..side).map(code).collect();
    let values: Vec<f32> = (0..side * side)
        .flat_map(|token| codes[token % side].iter().chain(&codes[token / side]))
        .copied()
        .collect();
    Tensor::from_data(TensorData::new(values, [1, side * side, dim]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Int;

    #[test]
    fn unpatchify_undoes_patchify() {
        let device = Device::flex();
        let (b, c, size, p) = (2, 3, 8, 4);
        let x = Tensor::<1, Int>::arange(0..(b * c * size * size) as i64, &device)
            .float()
            .reshape([b, c, size, size]);
        let tokens = patchify(x.clone(), p);
        assert_eq!(tokens.dims(), [b, 4, c * p * p]);
        // From (channel, row, column) to (row, column, channel).
        let tokens = tokens.reshape([b, 4, c, p * p]).swap_dims(2, 3).reshape([b, 4, c * p * p]);
        unpatchify(tokens, p).to_data().assert_eq(&x.to_data(), true);
    }

    #[test]
    fn codes_separate_rows_from_columns() {
        let codes = sincos_2d(4, 16, &Device::flex());
        let row = |token: usize| codes.clone().slice([0..1, token..token + 1, 8..16]).into_data();
        let col = |token: usize| codes.clone().slice([0..1, token..token + 1, 0..8]).into_data();
        row(4).assert_eq(&row(6), true);
        col(1).assert_eq(&col(13), true);
        assert_ne!(row(1), row(5));
        assert_ne!(col(1), col(2));
    }
}
