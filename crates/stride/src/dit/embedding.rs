//! Embedding of one number per image: the time t, or the step-size level k.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

use super::linear;

/// Numbers in the sinusoid: half cosines, half sines.
const FREQUENCY_DIM: usize = 256;
/// Longest wavelength over 2 pi.
const MAX_PERIOD: f64 = 10_000.0;

/// Sinusoid, linear, SiLU, linear: `[B]` to `[B, D]`.
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
            linear_1: linear::normal(FREQUENCY_DIM, hidden_size, device),
            linear_2: linear::normal(hidden_size, hidden_size, device),
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
