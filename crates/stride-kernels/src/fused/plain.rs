//! The fused operations composed of the library's: what the kernels are tested against, and what
//! runs on every device but the CPU.
//!
//! They honour [`Precision`](super::Precision) as `torch.autocast` does: with bf16, products of f32 have
//! their factors and their results rounded to bfloat16, and with f16 to half precision, while the kernels round the factors only.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, Linear};
use burn::tensor::activation::{gelu, relu, sigmoid, silu, softmax};
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{DType, Tensor};

use super::convolution::Conv2dOptions;
use super::precision;
use crate::activation::Activation;
use crate::adamw::AdamwStep;
use crate::compute::Compute;
use crate::muon::{self, MuonStep};
use crate::norm_modulate::{EPSILON, Norm};
use crate::pool::{Geometry, Pooling};

/// See [`linear`](super::linear) and [`linear_activate`](super::linear_activate).
pub fn linear(layer: &Linear, x: Tensor<2>, activation: Option<Activation>) -> Tensor<2> {
    let y = matmul(x, layer.weight.val(), precision::compute());
    let y = match &layer.bias {
        Some(bias) => y + bias.val().unsqueeze(),
        None => y,
    };
    match activation {
        Some(activation) => activate(y, activation),
        None => y,
    }
}

/// A product whose factors are rounded if they are f32 and the compute dtype is less.
fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>, compute: Compute) -> Tensor<D> {
    match rounded_to(&a, compute) {
        Some(dtype) => a.cast(dtype).matmul(b.cast(dtype)).cast(DType::F32),
        None => a.matmul(b),
    }
}

/// What the factors of a product are rounded to; none where they are taken as they are, as on devices that do not
/// compute in that type.
fn rounded_to<const D: usize>(factor: &Tensor<D>, compute: Compute) -> Option<DType> {
    let dtype = match compute {
        Compute::F32 => return None,
        Compute::Bf16 => DType::BF16,
        Compute::F16 => DType::F16,
    };
    (factor.dtype() == DType::F32 && factor.device().supports_dtype(dtype)).then_some(dtype)
}

/// See [`activate`](super::activate).
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::GeluTanh => {
            // 2 sqrt(2 / pi)
            const SLOPE: f64 = 1.595_769_121_605_730_7;
            let two_z = (x.clone().square() * (0.044715 * SLOPE) + SLOPE) * x.clone();
            x * sigmoid(two_z)
        }
        Activation::Gelu => gelu(x),
        Activation::Silu => silu(x),
        Activation::QuickGelu => x.clone() * sigmoid(x * 1.702),
        Activation::Relu => relu(x),
    }
}

/// See [`conv2d`](super::conv2d).
pub fn conv2d(layer: &Conv2d, x: Tensor<4>, options: Conv2dOptions) -> Tensor<4> {
    let Conv2dOptions { upsample, residual, activation } = options;
    let [b, h, w, c] = x.dims();
    let repeated = x.reshape([b, h, 1, w, 1, c]).expand([b, h, upsample, w, upsample, c]);
    let x = repeated.reshape([b, h * upsample, w * upsample, c]);
    let x = x.permute([0, 3, 1, 2]);
    let y = if let Some(dtype) = rounded_to(&x, precision::compute()) {
        let rounded = |x: Tensor<4>| x.cast(dtype);
        let mut layer = layer.clone();
        let bias = layer.bias.take();
        layer.weight = Param::initialized(layer.weight.id, rounded(layer.weight.val()));
        let y = layer.forward(rounded(x)).cast(DType::F32);
        match bias {
            Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
            None => y,
        }
    } else {
        layer.forward(x)
    };
    let y = y.permute([0, 2, 3, 1]);
    let y = match residual {
        Some(residual) => y + residual,
        None => y,
    };
    match activation {
        Some(activation) => activate(y, activation),
        None => y,
    }
}

/// See [`group_norm`](super::group_norm).
pub fn group_norm(layer: &GroupNorm, x: Tensor<4>, with_silu: bool) -> Tensor<4> {
    let y = layer.forward(x.permute([0, 3, 1, 2])).permute([0, 2, 3, 1]);
    if with_silu { silu(y) } else { y }
}

/// See [`pool`](super::pool).
pub fn pool(x: Tensor<4>, pooling: Pooling, geometry: &Geometry) -> Tensor<4> {
    let &Geometry { side, stride, padding, .. } = geometry;
    let (stride, padding) = ([stride; 2], [(padding, padding); 2]);
    let x = x.permute([0, 3, 1, 2]);
    let y = match pooling {
        Pooling::Max => {
            max_pool2d(x, MaxPoolOptions { stride, padding, ..MaxPoolOptions::new([side; 2]) })
        }
        Pooling::Mean | Pooling::MeanWithPadding => {
            let count_include_pad = pooling == Pooling::MeanWithPadding;
            let options = AvgPoolOptions::new([side; 2]);
            avg_pool2d(x, AvgPoolOptions { stride, padding, count_include_pad, ..options })
        }
    };
    y.permute([0, 2, 3, 1])
}

/// See [`swiglu`](super::swiglu).
pub fn swiglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let width = x.dims()[D - 1] / 2;
    silu(x.clone().narrow(D - 1, 0, width)) * x.narrow(D - 1, width, width)
}

/// See [`norm_modulate`](super::norm_modulate); `epsilon` is added to the mean square.
pub fn norm_modulate(
    x: Tensor<3>,
    norm: Norm,
    epsilon: f64,
    shift: Tensor<3>,
    scale: Tensor<3>,
) -> Tensor<3> {
    let x = match norm {
        Norm::Layer => x.clone() - x.mean_dim(2),
        Norm::Rms => x,
    };
    normalize(x, epsilon) * (scale + 1.0) + shift
}

/// See [`gated_residual`](super::gated_residual).
pub fn gated_residual(x: Tensor<3>, y: Tensor<3>, gate: Tensor<3>) -> Tensor<3> {
    x + y * gate
}

/// See [`self_attention`](super::self_attention).
pub fn self_attention(
    qkv: Tensor<3>,
    heads: usize,
    gains: Option<(Tensor<1>, Tensor<1>)>,
) -> Tensor<3> {
    let width = qkv.dims()[2] / 3;
    let part = |i: usize| qkv.clone().narrow(2, i * width, width);
    cross_attention(part(0), part(1), part(2), None, heads, gains)
}

/// See [`cross_attention`](super::cross_attention).
pub fn cross_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    key_bias: Option<Tensor<2>>,
    heads: usize,
    gains: Option<(Tensor<1>, Tensor<1>)>,
) -> Tensor<3> {
    let bias = key_bias.map(|bias| bias.unsqueeze_dims::<4>(&[1, 1]));
    attend(q, k, v, bias, heads, gains)
}

/// See [`causal_attention`](super::causal_attention).
pub fn causal_attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let tokens = q.dims()[1];
    let hidden = Tensor::<2>::ones([tokens, tokens], (&q.device(), q.dtype())).triu(1) * -3e4;
    attend(q, k, v, Some(hidden.unsqueeze()), heads, None)
}

/// With a bias on the scores that fits `[B, N, T, L]`.
fn attend(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    bias: Option<Tensor<4>>,
    heads: usize,
    gains: Option<(Tensor<1>, Tensor<1>)>,
) -> Tensor<3> {
    let [b, t, d] = q.dims();
    let head_dim = d / heads;
    let split = |x: Tensor<3>| {
        let [b, length, _] = x.dims();
        x.reshape([b, length, heads, head_dim]).swap_dims(1, 2) // [B, N, T, head_dim]
    };
    let (q, k, v) = (split(q), split(k), split(v));
    let (q, k) = match gains {
        None => (q, k),
        Some((q_gain, k_gain)) => {
            (rms_normalize(q) * q_gain.unsqueeze(), rms_normalize(k) * k_gain.unsqueeze())
        }
    };
    // Scaling the queries is cheaper than scaling the scores.
    let compute = precision::compute();
    let scores = matmul(q * (head_dim as f64).powf(-0.5), k.swap_dims(2, 3), compute); // [B, N, T, L]
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    matmul(softmax(scores, 3), v, compute).swap_dims(1, 2).reshape([b, t, d])
}

/// See [`adamw`](super::adamw).
pub fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    with: AdamwStep,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [beta_1, beta_2] = with.betas;
    let g = gradient * with.gradient_scale;
    let first = first * beta_1 + g.clone() * (1.0 - beta_1);
    let second = second * beta_2 + g.square() * (1.0 - beta_2);
    let denominator = second.clone().sqrt() / with.corrections[1].sqrt() + with.epsilon;
    let update = first.clone() / denominator * (with.learning_rate / with.corrections[0]);
    (value * (1.0 - with.decay) - update, [first, second])
}

/// See [`join_gradients`](super::join_gradients).
///
/// The sum of the squares stays on the device.
pub fn join_gradients(first: Tensor<1>, others: Vec<Tensor<1>>) -> (Tensor<1>, Tensor<1>) {
    let sum = others.into_iter().fold(first, Tensor::add);
    let squares = sum.clone().square().sum();
    (sum, squares)
}

/// See [`muon`](super::muon).
pub fn muon(
    value: Tensor<1>,
    gradient: Tensor<1>,
    buffer: Tensor<1>,
    shape: [usize; 2],
    with: MuonStep,
) -> (Tensor<1>, Tensor<1>) {
    let scaled = gradient * (with.gradient_scale * (1.0 - with.momentum));
    let buffer = buffer * with.momentum + scaled.clone();
    let update = (buffer.clone() * with.momentum + scaled).reshape(shape);
    let update = orthogonalize(update, with.compute);
    let value = value * (1.0 - with.decay) - update.reshape([-1]) * with.learning_rate;
    (value, buffer)
}

/// See [`muon::orthogonalize`](crate::muon::orthogonalize).
fn orthogonalize(matrix: Tensor<2>, compute: Compute) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let is_tall = rows > columns;
    let x = if is_tall { matrix.transpose() } else { matrix };
    let norm = x.clone().square().sum().sqrt().clamp_min(muon::LEAST_NORM);
    let mut x = x.div(norm.reshape([1, 1]));
    let [a, b, c] = muon::QUINTIC;
    for _ in 0..muon::ITERATIONS {
        let gram = matmul(x.clone(), x.clone().transpose(), compute);
        let polynomial = matmul(gram.clone(), gram.clone(), compute) * c + gram * b;
        x = matmul(polynomial, x.clone(), compute) + x * a;
    }
    if is_tall { x.transpose() } else { x }
}

/// See [`follow`](super::follow).
pub fn follow(average: Tensor<1>, value: Tensor<1>, decay: f64) -> Tensor<1> {
    average * decay + value * (1.0 - decay)
}

/// Divides by the root of the mean square over the last axis plus 1e-6.
pub fn rms_normalize<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    normalize(x, EPSILON)
}

fn normalize<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let mean_square = x.clone().square().mean_dim(D - 1);
    x * (mean_square + epsilon).sqrt().recip()
}
