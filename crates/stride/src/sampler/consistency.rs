//! One step of a consistency model: predict the data, then add fresh noise for the next time.

use burn::tensor::Tensor;

/// x_1 = x + (1 - t) s(x, t, 1 - t); the next state is (1 - t') x_0' + t' x_1 with fresh noise
/// x_0', and x_1 itself at t' = 1.
///
/// `velocity` is s, `t` and `next` are t and t', `noise` draws x_0'.
///
/// # Source
/// Consistency Models (Song et al. 2023, arXiv 2303.01469), algorithm 1, on the straight path.
pub(super) fn step(
    x: Tensor<4>,
    velocity: Tensor<4>,
    t: f64,
    next: f64,
    noise: impl FnOnce() -> Tensor<4>,
) -> Tensor<4> {
    let x_1 = x + velocity * (1.0 - t);
    if next >= 1.0 { x_1 } else { noise() * (1.0 - next) + x_1 * next }
}
