//! Activations and their derivatives, in one pass each.

use rayon::prelude::*;

use crate::lanes::sigmoid;
use crate::vectorized::vectorized;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the tanh form of GELU.
    GeluTanh,
    /// x sigmoid(x).
    Silu,
    /// x sigmoid(1.702 x), the GELU of CLIP.
    QuickGelu,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// The a and b of `x sigmoid(a x + b x^3)`, which all but ReLU are.
    ///
    /// For the tanh form of GELU it is that of (1 + tanh(u)) / 2 = sigmoid(2 u).
    pub(crate) fn sigmoid_cubic(self) -> Option<(f32, f32)> {
        const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
        match self {
            Self::GeluTanh => Some((TWICE_SQRT_2_OVER_PI, TWICE_SQRT_2_OVER_PI * 0.044_715)),
            Self::Silu => Some((1.0, 0.0)),
            Self::QuickGelu => Some((1.702, 0.0)),
            Self::Relu => None,
        }
    }

    /// The activation of one number.
    pub fn apply(self, x: f32) -> f32 {
        match self.sigmoid_cubic() {
            Some((a, b)) => x / (1.0 + (-x * (a + b * x * x)).exp()),
            None => relu(x),
        }
    }
}

/// Numbers that one task takes.
const CHUNK: usize = 1 << 14;

/// `y = f(x)`.
///
/// # Panics
/// The lengths differ.
pub fn forward(activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "activation: lengths differ");
    let of = activation.sigmoid_cubic();
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| match of {
        Some((a, b)) => forward_chunk(a, b, x, y),
        None => relu_chunk(x, y),
    });
}

/// Turns `grad`, the gradient with respect to `f(x)`, into that with respect to `x`.
///
/// `f'(x) = s + x s (1 - s) (a + 3 b x^2)` with `s = sigmoid(a x + b x^3)`; for ReLU 1 above 0 and 0
/// elsewhere.
///
/// # Panics
/// The lengths differ.
pub fn backward(activation: Activation, x: &[f32], grad: &mut [f32]) {
    assert_eq!(x.len(), grad.len(), "activation: lengths differ");
    let of = activation.sigmoid_cubic();
    grad.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(grad, x)| match of {
        Some((a, b)) => backward_chunk(a, b, x, grad),
        None => relu_backward_chunk(x, grad),
    });
}

/// Lets NaN through, unlike `f32::max`.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

vectorized! {
    fn relu_chunk(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = relu(x);
        }
    }

    fn relu_backward_chunk(x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            *grad = if x > 0.0 { *grad } else { 0.0 };
        }
    }

    fn forward_chunk(a: f32, b: f32, x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * sigmoid(x * (a + b * x * x));
        }
    }

    fn backward_chunk(a: f32, b: f32, x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            let s = sigmoid(x * (a + b * x * x));
            *grad *= s + x * s * (1.0 - s) * (a + 3.0 * b * x * x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_have_their_known_values() {
        for (activation, at_one) in [
            (Activation::GeluTanh, 0.841_192),
            (Activation::Silu, 0.731_058_6),
            (Activation::QuickGelu, 0.845_795_6),
            (Activation::Relu, 1.0),
        ] {
            assert_eq!(activation.apply(0.0), 0.0);
            let error = (activation.apply(1.0) - at_one).abs();
            assert!(error < 1e-6, "{activation:?}(1) is off by {error}");
            // f(x) - f(-x) = x, for sigmoids since sigmoid(u) + sigmoid(-u) = 1.
            let odd = activation.apply(2.5) - activation.apply(-2.5);
            assert!((odd - 2.5).abs() < 1e-6, "{activation:?}: {odd}");
        }
    }
}
