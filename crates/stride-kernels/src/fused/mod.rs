//! The fused operations as functions of tensors.
//!
//! On Flex in f32 each runs as one pass of this crate with a backward pass written by hand; on
//! every other device and type it is composed of the library's operations ([`plain`]).

use burn::backend::Dispatch;
use burn::nn::conv::Conv2d;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{DType, Tensor};

use crate::activation::Activation;
use crate::adamw::AdamwStep;
use crate::isa::Isa;
use crate::muon::MuonStep;
use crate::norm_modulate::{EPSILON, Norm};
pub use convolution::Conv2dOptions;
use extension::{Attention, FusedOps};
pub use group_norm::group_norm;
pub use pool::pool;
pub use precision::Precision;
use storage::{is_fused, is_fused_image};
pub use swiglu::swiglu;
use update::UpdateOps;

mod convolution;
mod extension;
mod group_norm;
mod linear;
pub mod plain;
mod pool;
mod precision;
mod record;
mod storage;
mod swiglu;
mod update;

/// `y = x weight + bias` of a layer over the last axis of `x`: `[.., K]` to `[.., N]`.
///
/// Whatever stands before the last axis goes through as the rows of one matrix: with a batch axis
/// the library's backward pass would make one gradient of the weight a sample and add them up.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    of_rows(x, |rows| linear_rows(layer, rows, None))
}

/// [`linear`] followed by an activation, in one pass where no gradient is wanted.
pub fn linear_activate<const D: usize>(
    layer: &Linear,
    x: Tensor<D>,
    activation: Activation,
) -> Tensor<D> {
    of_rows(x, |rows| linear_rows(layer, rows, Some(activation)))
}

fn linear_rows(layer: &Linear, x: Tensor<2>, activation: Option<Activation>) -> Tensor<2> {
    if is_fused(&x) {
        linear::on_rows(layer, x, activation)
    } else {
        plain::linear(layer, x, activation)
    }
}

/// `y = act(x * w + bias + residual)` of a layer, with images `[B, H, W, C]` and `[B, H', W', O]`.
///
/// See [`convolution`](crate::convolution) for the equation. The residual and the activation come
/// in the same pass where no gradient is wanted. The result is of the type of `x`; see [`to_compute_dtype`].
pub fn conv2d(layer: &Conv2d, x: Tensor<4>, options: Conv2dOptions) -> Tensor<4> {
    match convolution::geometry(layer, x.dims(), options.upsample) {
        Some(geometry) if is_fused_image(&x) => convolution::convolve(layer, x, geometry, options),
        _ => plain::conv2d(layer, x, options),
    }
}

/// The activation of every number of `x`.
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    if !is_fused(&x) {
        return plain::activate(x, activation);
    }
    Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation))
}

/// `norm(x) (1 + scale) + shift`: `x` is `[B, T, D]`, `shift` and `scale` are `[B, 1, D]`.
///
/// See [`norm_modulate`](crate::norm_modulate) for the equations.
pub fn norm_modulate(x: Tensor<3>, norm: Norm, shift: Tensor<3>, scale: Tensor<3>) -> Tensor<3> {
    modulate(x, norm, EPSILON, shift, scale)
}

/// The layer norm of `[.., D]` over its last axis, times the layer's gain plus its bias; `epsilon`, which the
/// layer keeps to itself, is added to the variance.
///
/// It is [`norm_modulate`] with one shift, the bias, and one scale, the gain less 1, for all rows.
pub fn layer_norm<const D: usize>(layer: &LayerNorm, epsilon: f64, x: Tensor<D>) -> Tensor<D> {
    let gain = layer.gamma.val();
    let bias = layer.beta.as_ref().map_or_else(|| gain.zeros_like(), |beta| beta.val());
    let (dims, [width]) = (x.dims(), gain.dims());
    let vector = |x: Tensor<1>| x.reshape([1, 1, width]);
    let rows = dims.iter().product::<usize>() / width.max(1);
    let x = x.reshape([1, rows, width]);
    modulate(x, Norm::Layer, epsilon, vector(bias), vector(gain - 1.0)).reshape(dims)
}

fn modulate(
    x: Tensor<3>,
    norm: Norm,
    epsilon: f64,
    shift: Tensor<3>,
    scale: Tensor<3>,
) -> Tensor<3> {
    if !is_fused(&x) {
        return plain::norm_modulate(x, norm, epsilon, shift, scale);
    }
    Tensor::from_dispatch(Dispatch::norm_modulate(
        x.into_dispatch(),
        shift.into_dispatch(),
        scale.into_dispatch(),
        norm,
        epsilon as f32,
    ))
}

/// `x + gate y`: `x` and `y` are `[B, T, D]`, `gate` is `[B, 1, D]`.
pub fn gated_residual(x: Tensor<3>, y: Tensor<3>, gate: Tensor<3>) -> Tensor<3> {
    if !is_fused(&x) {
        return plain::gated_residual(x, y, gate);
    }
    Tensor::from_dispatch(Dispatch::gated_residual(
        x.into_dispatch(),
        y.into_dispatch(),
        gate.into_dispatch(),
    ))
}

/// Attention of tokens to each other: `qkv` is `[B, T, 3 D]` with queries, keys and values side by
/// side and the heads side by side in each, the result `[B, T, D]`.
///
/// With `gains`, each `[D / heads]`, queries and keys of every head are divided by their root
/// mean square and multiplied by the gains. See [`attention`](crate::attention) for the equations.
pub fn self_attention(
    qkv: Tensor<3>,
    heads: usize,
    gains: Option<(Tensor<1>, Tensor<1>)>,
) -> Tensor<3> {
    if !is_fused(&qkv) {
        return plain::self_attention(qkv, heads, gains);
    }
    let (qkv, how) = (qkv.into_dispatch(), attention(heads, false));
    Tensor::from_dispatch(match gains {
        None => Dispatch::self_attention(qkv, how),
        Some((q, k)) => {
            let (q, k) = (q.into_dispatch(), k.into_dispatch());
            Dispatch::normed_self_attention(qkv, q, k, how)
        }
    })
}

/// Attention of tokens to others: `q` is `[B, T, D]`, `k` and `v` are `[B, L, D]`, `key_bias`, which
/// is added to the scores and takes no gradient, is `[B, L]`.
///
/// `gains` as in [`self_attention`].
pub fn cross_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    key_bias: Option<Tensor<2>>,
    heads: usize,
    gains: Option<(Tensor<1>, Tensor<1>)>,
) -> Tensor<3> {
    if !is_fused(&q) {
        return plain::cross_attention(q, k, v, key_bias, heads, gains);
    }
    let key_bias = key_bias.unwrap_or_else(|| no_key_bias(&k));
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    let (key_bias, how) = (key_bias.into_dispatch(), attention(heads, false));
    Tensor::from_dispatch(match gains {
        None => Dispatch::cross_attention(q, k, v, key_bias, how),
        Some((q_gain, k_gain)) => Dispatch::normed_cross_attention(
            q,
            k,
            v,
            q_gain.into_dispatch(),
            k_gain.into_dispatch(),
            key_bias,
            how,
        ),
    })
}

/// Attention in which a token sees itself and the tokens before it: `q`, `k` and `v` are `[B, T, D]` with the
/// heads side by side, and so is the result.
pub fn causal_attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    if !is_fused(&q) {
        return plain::causal_attention(q, k, v, heads);
    }
    let key_bias = no_key_bias(&k).into_dispatch();
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::cross_attention(q, k, v, key_bias, attention(heads, true)))
}

/// Attention in the precision of this thread.
fn attention(heads: usize, causal: bool) -> Attention {
    Attention { heads, causal, compute: precision::compute() }
}

/// A bias `[B, L]` that changes nothing, for keys `[B, L, D]`.
fn no_key_bias(keys: &Tensor<3>) -> Tensor<2> {
    let [batch, count, _] = keys.dims();
    Tensor::zeros([batch, count], &keys.device())
}

/// One step of AdamW on a flat parameter: the new value and moments, made in place of the old
/// ones where nobody else holds them.
///
/// See [`adamw`](crate::adamw) for the equations. The tensors are outside automatic differentiation.
pub fn adamw(
    value: Tensor<1>,
    gradient: Tensor<1>,
    [first, second]: [Tensor<1>; 2],
    with: AdamwStep,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    if !is_fused(&value) {
        return plain::adamw(value, gradient, [first, second], with);
    }
    let (value, first, second) = Dispatch::adamw(
        value.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        with,
    );
    (Tensor::from_dispatch(value), [Tensor::from_dispatch(first), Tensor::from_dispatch(second)])
}

/// The sum of a flat parameter's gradients of several shares of a batch, made in place of the first;
/// its squares are added to `squares`.
///
/// See [`gradient`](crate::gradient). The tensors are outside automatic differentiation.
///
/// # Panics
/// There is no share.
pub fn join_gradients(mut shares: Vec<Tensor<1>>, squares: &mut SumOfSquares) -> Tensor<1> {
    let first = shares.swap_remove(0);
    if !is_fused(&first) {
        let (sum, of_this) = plain::join_gradients(first, shares);
        squares.on_device.push(of_this);
        return sum;
    }
    let (sum, of_this) = update::join_gradients(first, shares);
    squares.known += of_this;
    sum
}

/// A sum of squares over many tensors, of which those on other devices than the CPU are read all at once: each
/// reading waits for all that was asked of the device before.
#[derive(Debug, Default)]
pub struct SumOfSquares {
    known: f64,
    /// Of one number each.
    on_device: Vec<Tensor<1>>,
}

impl SumOfSquares {
    /// The sum.
    pub fn total(self) -> f64 {
        let Self { known, on_device } = self;
        if on_device.is_empty() {
            return known;
        }
        known + Tensor::cat(on_device, 0).into_data().iter::<f64>().sum::<f64>()
    }
}

/// One step of Muon on a flat parameter that stands for a matrix `[rows, cols]`: the new value and
/// momentum, made in place of the old ones where nobody else holds them.
///
/// See [`muon`](crate::muon) for the equations. The tensors are outside automatic differentiation.
pub fn muon(
    value: Tensor<1>,
    gradient: Tensor<1>,
    buffer: Tensor<1>,
    shape: [usize; 2],
    with: MuonStep,
) -> (Tensor<1>, Tensor<1>) {
    if !is_fused(&value) {
        return plain::muon(value, gradient, buffer, shape, with);
    }
    let (value, buffer) = Dispatch::muon(
        value.into_dispatch(),
        gradient.into_dispatch(),
        buffer.into_dispatch(),
        shape,
        with,
    );
    (Tensor::from_dispatch(value), Tensor::from_dispatch(buffer))
}

/// `decay average + (1 - decay) value`, in place of the average where nobody else holds it.
///
/// The tensors are outside automatic differentiation.
pub fn follow(average: Tensor<1>, value: Tensor<1>, decay: f64) -> Tensor<1> {
    if !is_fused(&average) {
        return plain::follow(average, value, decay);
    }
    Tensor::from_dispatch(Dispatch::follow(
        average.into_dispatch(),
        value.into_dispatch(),
        decay as f32,
    ))
}

/// `[.., K]` to `[.., N]` by a function of rows, `[R, K]` to `[R, N]`.
fn of_rows<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<D> {
    let mut dims = x.dims();
    let width = dims[D - 1];
    let rows: usize = dims[..D - 1].iter().product();
    let y = f(x.reshape([rows, width]));
    dims[D - 1] = y.dims()[1];
    y.reshape(dims)
}

/// Images in the type in which they lie between layers: bfloat16 inside a scope of
/// [`Precision::inference`] in bf16 where the processor multiplies bfloat16, otherwise as they are.
///
/// Layers answer in the type that they are asked in, and `cast` leads back to f32. It halves the traffic with
/// memory, at the cost of one rounding a layer.
pub fn to_compute_dtype(images: Tensor<4>) -> Tensor<4> {
    let is_bf16 = precision::is_bf16_inference() && Isa::detect() >= Isa::Avx512Bf16;
    if is_bf16 && !images.is_autodiff() && is_fused(&images) {
        images.cast(DType::BF16)
    } else {
        images
    }
}

#[cfg(test)]
mod image_tests;
#[cfg(test)]
mod tests;
