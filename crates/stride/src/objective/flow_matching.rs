//! Flow matching: regress the velocity of the straight path from noise to data.

use burn::tensor::Tensor;

use crate::noise::{self, ChaCha8Rng};

use super::{BASE_STEPS, FlowTime};

/// The share of noise that is left at t = 1, so that the path never ends in a point mass.
///
/// # Source
/// kvfrans/shortcut-models, `targets_shortcut.py`.
const SIGMA_MIN: f64 = 1e-5;

/// A state on the path, x_t = (1 - (1 - sigma) t) x_0 + t x_1, with sigma = 1e-5.
///
/// `x_0` and `x_1` are `[B, C, H, W]`, `t` is `[B]`.
pub(super) fn interpolate(x_0: Tensor<4>, x_1: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
    let t = t.reshape([-1, 1, 1, 1]);
    x_0 * (t.clone() * (SIGMA_MIN - 1.0) + 1.0) + x_1 * t
}

/// The velocity of the path, dx_t/dt = x_1 - (1 - sigma) x_0.
pub(super) fn velocity(x_0: Tensor<4>, x_1: Tensor<4>) -> Tensor<4> {
    x_1 - x_0 * (1.0 - SIGMA_MIN)
}

/// Draws t for a flow-matching row.
pub(super) fn draw_time(flow_time: FlowTime, rng: &mut ChaCha8Rng) -> f64 {
    match flow_time {
        FlowTime::Grid => noise::below(rng, BASE_STEPS) as f64 / BASE_STEPS as f64,
        FlowTime::LogitNormal { mean, std, uniform_share } => {
            if noise::uniform(rng) < uniform_share {
                noise::uniform(rng)
            } else {
                let logit = mean + std * noise::normal(rng);
                1.0 / (1.0 + (-logit).exp())
            }
        }
    }
}
