//! Activations and their derivatives, in one pass each.

use rayon::prelude::*;

use crate::lanes::{exp, sigmoid};
use crate::parallel_init::in_chunks;
use crate::vectorized::vectorized;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, the tanh form of GELU.
    GeluTanh,
    /// x (1 + erf(x / sqrt(2))) / 2.
    Gelu,
    /// x sigmoid(x).
    Silu,
    /// x sigmoid(1.702 x), the GELU of CLIP.
    QuickGelu,
    /// max(x, 0).
    Relu,
}

/// How an activation is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// `x sigmoid(a x + b x^3)` of this a and b.
    Sigmoid(f32, f32),
    /// x times the standard normal distribution.
    Normal,
    /// x where it is positive.
    Positive,
}

impl Activation {
    pub(crate) fn form(self) -> Form {
        const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
        match self {
            // (1 + tanh(u)) / 2 = sigmoid(2 u).
            Self::GeluTanh => Form::Sigmoid(TWICE_SQRT_2_OVER_PI, TWICE_SQRT_2_OVER_PI * 0.044_715),
            Self::Gelu => Form::Normal,
            Self::Silu => Form::Sigmoid(1.0, 0.0),
            Self::QuickGelu => Form::Sigmoid(1.702, 0.0),
            Self::Relu => Form::Positive,
        }
    }

    /// The activation of one number.
    pub fn apply(self, x: f32) -> f32 {
        match self.form() {
            Form::Sigmoid(a, b) => x / (1.0 + (-x * (a + b * x * x)).exp()),
            Form::Normal => x * normal(x).0,
            Form::Positive => relu(x),
        }
    }
}

/// Numbers that one task takes.
const CHUNK: usize = 1 << 14;

/// `f(x)`.
pub fn forward(activation: Activation, x: &[f32]) -> Vec<f32> {
    in_chunks(x.len(), CHUNK, |i, y| {
        y.copy_from_slice(&x[i * CHUNK..][..y.len()]);
        in_place(activation, y);
    })
}

/// `x <- f(x)` on this thread.
pub(crate) fn in_place(activation: Activation, x: &mut [f32]) {
    match activation.form() {
        Form::Sigmoid(a, b) => sigmoid_chunk(a, b, x),
        Form::Normal => gelu_chunk(x),
        Form::Positive => relu_chunk(x),
    }
}

/// Turns `grad`, the gradient with respect to `f(x)`, into that with respect to `x`.
///
/// `f'(x) = s + x s (1 - s) (a + 3 b x^2)` with `s = sigmoid(a x + b x^3)`; for GELU by erf it is the
/// normal distribution at x plus x times its density; for ReLU 1 above 0 and 0 elsewhere.
///
/// # Panics
/// The lengths differ.
pub fn backward(activation: Activation, x: &[f32], grad: &mut [f32]) {
    assert_eq!(x.len(), grad.len(), "activation: lengths differ");
    grad.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(grad, x)| {
        match activation.form() {
            Form::Sigmoid(a, b) => sigmoid_backward_chunk(a, b, x, grad),
            Form::Normal => gelu_backward_chunk(x, grad),
            Form::Positive => relu_backward_chunk(x, grad),
        }
    });
}

/// Lets NaN through, unlike `f32::max`.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// The standard normal distribution `(1 + erf(x / sqrt 2)) / 2` and its density.
///
/// Source: Abramowitz and Stegun, "Handbook of mathematical functions" (1964), 7.1.26, whose error is below
/// 1e-7; for negative x it gives the small tail itself, not what is left of 1.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const SQRT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    /// 1 / sqrt(2 pi)
    const PEAK: f32 = 0.398_942_3;
    let e = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * SQRT_HALF * x.abs());
    let mut p = 1.061_405_4;
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = p * t + coefficient;
    }
    let tail = 0.5 * p * t * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, PEAK * e)
}

vectorized! {
    fn sigmoid_chunk(a: f32, b: f32, x: &mut [f32]) {
        for x in x {
            *x *= sigmoid(*x * (a + b * *x * *x));
        }
    }

    fn gelu_chunk(x: &mut [f32]) {
        for x in x {
            *x *= normal(*x).0;
        }
    }

    fn relu_chunk(x: &mut [f32]) {
        for x in x {
            *x = relu(*x);
        }
    }

    fn sigmoid_backward_chunk(a: f32, b: f32, x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            let s = sigmoid(x * (a + b * x * x));
            *grad *= s + x * s * (1.0 - s) * (a + 3.0 * b * x * x);
        }
    }

    fn gelu_backward_chunk(x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            let (cumulative, density) = normal(x);
            *grad *= cumulative + x * density;
        }
    }

    fn relu_backward_chunk(x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            *grad = if x > 0.0 { *grad } else { 0.0 };
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
            (Activation::Gelu, 0.841_344_7),
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
