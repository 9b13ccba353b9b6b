//! The kernels as operations of the Flex backend, with and without recording of gradients.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::record::{BackwardPass, record};
use super::storage::{Dense, tensor};
use crate::activation::{self, Activation};
use crate::attention::{self, Heads, HeadsMut, Inputs, Shape};
use crate::gated_residual;
use crate::gemm::Compute;
use crate::norm_modulate::{self, Norm};

/// How attention is computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention {
    pub(super) heads: usize,
    pub(super) causal: bool,
    pub(super) compute: Compute,
}

/// The operations of [`fused`](super) on backend tensors.
#[backend_extension(Autodiff, Flex)]
pub(super) trait FusedOps: Backend {
    /// An activation.
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;
    /// `norm(x) (1 + scale) + shift`.
    fn norm_modulate(
        x: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        norm: Norm,
        epsilon: f32,
    ) -> FloatTensor<Self>;
    /// `x + gate y`.
    fn gated_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gate: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Attention within rows of queries, keys and values.
    fn self_attention(qkv: FloatTensor<Self>, how: Attention) -> FloatTensor<Self>;
    /// The same with normalised queries and keys.
    fn normed_self_attention(
        qkv: FloatTensor<Self>,
        q_gain: FloatTensor<Self>,
        k_gain: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self>;
    /// Attention of queries to other tokens' keys and values.
    fn cross_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self>;
    /// The same with normalised queries and keys.
    fn normed_cross_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        q_gain: FloatTensor<Self>,
        k_gain: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        activate([x], activation).0
    }

    fn norm_modulate(
        x: FlexTensor,
        shift: FlexTensor,
        scale: FlexTensor,
        norm: Norm,
        epsilon: f32,
    ) -> FlexTensor {
        norm_modulate([x, shift, scale], norm, epsilon).0
    }

    fn gated_residual(x: FlexTensor, y: FlexTensor, gate: FlexTensor) -> FlexTensor {
        gated_residual([x, y, gate]).0
    }

    fn self_attention(qkv: FlexTensor, how: Attention) -> FlexTensor {
        self_attention(qkv, None, how, |[qkv], _| [qkv]).0
    }

    fn normed_self_attention(
        qkv: FlexTensor,
        q_gain: FlexTensor,
        k_gain: FlexTensor,
        how: Attention,
    ) -> FlexTensor {
        self_attention(qkv, Some([q_gain, k_gain]), how, |[qkv], _| [qkv]).0
    }

    fn cross_attention(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        key_bias: FlexTensor,
        how: Attention,
    ) -> FlexTensor {
        cross_attention([q, k, v], None, key_bias, how, |qkv, _| qkv).0
    }

    fn normed_cross_attention(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        q_gain: FlexTensor,
        k_gain: FlexTensor,
        key_bias: FlexTensor,
        how: Attention,
    ) -> FlexTensor {
        cross_attention([q, k, v], Some([q_gain, k_gain]), key_bias, how, |qkv, _| qkv).0
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        record::<C, 1>([x], |x| activate(x, activation))
    }

    fn norm_modulate(
        x: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        norm: Norm,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        record::<C, 3>([x, shift, scale], |inputs| norm_modulate(inputs, norm, epsilon))
    }

    fn gated_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        gate: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<C, 3>([x, y, gate], gated_residual)
    }

    fn self_attention(qkv: FloatTensor<Self>, how: Attention) -> FloatTensor<Self> {
        record::<C, 1>([qkv], |[qkv]| self_attention(qkv, None, how, |[qkv], _| [qkv]))
    }

    fn normed_self_attention(
        qkv: FloatTensor<Self>,
        q_gain: FloatTensor<Self>,
        k_gain: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        record::<C, 3>([qkv, q_gain, k_gain], |[qkv, q_gain, k_gain]| {
            self_attention(qkv, Some([q_gain, k_gain]), how, |[qkv], gains| {
                let [q_gain, k_gain] = gains.expect("gains were given");
                [qkv, q_gain, k_gain]
            })
        })
    }

    fn cross_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        let key_bias = key_bias.into_primitive();
        record::<C, 3>([q, k, v], |qkv| cross_attention(qkv, None, key_bias, how, |qkv, _| qkv))
    }

    fn normed_cross_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        q_gain: FloatTensor<Self>,
        k_gain: FloatTensor<Self>,
        key_bias: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        let key_bias = key_bias.into_primitive();
        record::<C, 5>([q, k, v, q_gain, k_gain], |[q, k, v, q_gain, k_gain]| {
            let gains = Some([q_gain, k_gain]);
            cross_attention([q, k, v], gains, key_bias, how, |[q, k, v], gains| {
                let [q_gain, k_gain] = gains.expect("gains were given");
                [q, k, v, q_gain, k_gain]
            })
        })
    }
}

fn activate([x]: [FlexTensor; 1], function: Activation) -> (FlexTensor, BackwardPass<1>) {
    let shape = x.layout().shape().clone();
    let x = Dense::new(x);
    let output = tensor(activation::forward(function, x.values()), shape.clone());
    let backward = move |grad: FlexTensor| {
        let mut grad = Dense::new(grad).values().to_vec();
        activation::backward(function, x.values(), &mut grad);
        [tensor(grad, shape.clone())]
    };
    (output, BackwardPass::new(backward))
}

fn norm_modulate(
    [x, shift, scale]: [FlexTensor; 3],
    norm: Norm,
    epsilon: f32,
) -> (FlexTensor, BackwardPass<3>) {
    let (x, shift, scale) = (Dense::new(x), Dense::new(shift), Dense::new(scale));
    let dims @ [batch, _, width] = x.dims();
    let (shift, scale_now) = (shift.values(), scale.values());
    let y = norm_modulate::forward(norm, epsilon, width, x.values(), shift, scale_now);
    let backward = move |grad: FlexTensor| {
        let grad = Dense::new(grad);
        let (x, scale, grad) = (x.values(), scale.values(), grad.values());
        let grads = norm_modulate::backward(norm, epsilon, width, x, scale, grad);
        let vector = [batch, 1, width];
        [tensor(grads.x, dims), tensor(grads.shift, vector), tensor(grads.scale, vector)]
    };
    (tensor(y, dims), BackwardPass::new(backward))
}

fn gated_residual([x, y, gate]: [FlexTensor; 3]) -> (FlexTensor, BackwardPass<3>) {
    let (x, y, gate) = (Dense::new(x), Dense::new(y), Dense::new(gate));
    let dims @ [batch, _, width] = x.dims();
    let out = gated_residual::forward(width, x.values(), y.values(), gate.values());
    let backward = move |grad: FlexTensor| {
        let dense = Dense::new(grad.clone());
        let (grad_y, grad_gate) =
            gated_residual::backward(width, y.values(), gate.values(), dense.values());
        [grad, tensor(grad_y, dims), tensor(grad_gate, [batch, 1, width])]
    };
    (tensor(out, dims), BackwardPass::new(backward))
}

/// `order` puts the gradients of `qkv` and of the gains in the order of the inputs.
fn self_attention<const N: usize>(
    qkv: FlexTensor,
    gains: Option<[FlexTensor; 2]>,
    how: Attention,
    order: fn([FlexTensor; 1], Option<[FlexTensor; 2]>) -> [FlexTensor; N],
) -> (FlexTensor, BackwardPass<N>) {
    let qkv = Dense::new(qkv);
    let gains = gains.map(|gains| gains.map(Dense::new));
    let [batch, tokens, triple] = qkv.dims();
    let (width, Attention { heads, causal, compute }) = (triple / 3, how);
    let shape =
        Shape { batch, heads, head_dim: width / heads, queries: tokens, keys: tokens, causal };
    let (out, log_sum_exp) = attend(shape, compute, &self_inputs(&qkv, &gains, width));
    let output = tensor(out, [batch, tokens, width]);
    let out = Dense::new(output.clone());
    let backward = move |grad: FlexTensor| {
        let grad = Dense::new(grad);
        let mut grad_qkv = vec![0.0; qkv.values().len()];
        let grad_gains = attention::backward(
            shape,
            compute,
            &self_inputs(&qkv, &gains, width),
            out.values(),
            &log_sum_exp,
            grad.values(),
            HeadsMut::thirds(&mut grad_qkv, width),
        );
        order([tensor(grad_qkv, [batch, tokens, triple])], gain_tensors(grad_gains))
    };
    (output, BackwardPass::new(backward))
}

fn self_inputs<'a>(qkv: &'a Dense, gains: &'a Option<[Dense; 2]>, width: usize) -> Inputs<'a> {
    let values = qkv.values();
    let part = |i: usize| Heads {
        // Of a tensor without numbers, nothing.
        data: values.get(i * width..).unwrap_or_default(),
        row_stride: 3 * width,
    };
    Inputs { q: part(0), k: part(1), v: part(2), gains: gain_slices(gains), key_bias: None }
}

/// `order` puts the gradients of queries, keys and values and of the gains in the order of the
/// inputs.
fn cross_attention<const N: usize>(
    qkv: [FlexTensor; 3],
    gains: Option<[FlexTensor; 2]>,
    key_bias: FlexTensor,
    how: Attention,
    order: fn([FlexTensor; 3], Option<[FlexTensor; 2]>) -> [FlexTensor; N],
) -> (FlexTensor, BackwardPass<N>) {
    let qkv = qkv.map(Dense::new);
    let gains = gains.map(|gains| gains.map(Dense::new));
    let key_bias = Dense::new(key_bias);
    let ([batch, queries, width], [_, keys, _]) = (qkv[0].dims(), qkv[1].dims());
    let Attention { heads, causal, compute } = how;
    let shape = Shape { batch, heads, head_dim: width / heads, queries, keys, causal };
    let (out, log_sum_exp) = attend(shape, compute, &cross_inputs(&qkv, &gains, &key_bias, width));
    let output = tensor(out, [batch, queries, width]);
    let out = Dense::new(output.clone());
    let backward = move |grad: FlexTensor| {
        let grad = Dense::new(grad);
        let zeros = |of: &Dense| vec![0.0; of.values().len()];
        let [mut q, mut k, mut v] = qkv.each_ref().map(zeros);
        let grad_gains = attention::backward(
            shape,
            compute,
            &cross_inputs(&qkv, &gains, &key_bias, width),
            out.values(),
            &log_sum_exp,
            grad.values(),
            [&mut q, &mut k, &mut v].map(|grad| HeadsMut::whole(grad, width)),
        );
        let of_keys = [batch, keys, width];
        let grads = [tensor(q, [batch, queries, width]), tensor(k, of_keys), tensor(v, of_keys)];
        order(grads, gain_tensors(grad_gains))
    };
    (output, BackwardPass::new(backward))
}

fn cross_inputs<'a>(
    qkv: &'a [Dense; 3],
    gains: &'a Option<[Dense; 2]>,
    key_bias: &'a Dense,
    width: usize,
) -> Inputs<'a> {
    let [q, k, v] = qkv.each_ref().map(|x| Heads { data: x.values(), row_stride: width });
    Inputs { q, k, v, gains: gain_slices(gains), key_bias: Some(key_bias.values()) }
}

fn gain_slices(gains: &Option<[Dense; 2]>) -> Option<(&[f32], &[f32])> {
    gains.as_ref().map(|[q, k]| (q.values(), k.values()))
}

fn gain_tensors(grads: Option<[Vec<f32>; 2]>) -> Option<[FlexTensor; 2]> {
    grads.map(|grads| {
        grads.map(|grad| {
            let width = grad.len();
            tensor(grad, [width])
        })
    })
}

/// The output and the logarithms of the softmax's denominators.
fn attend(shape: Shape, compute: Compute, inputs: &Inputs<'_>) -> (Vec<f32>, Vec<f32>) {
    let Shape { batch, heads, head_dim, queries, .. } = shape;
    let mut out = vec![0.0; batch * queries * heads * head_dim];
    let mut log_sum_exp = vec![0.0; batch * heads * queries];
    attention::forward(shape, compute, inputs, &mut out, &mut log_sum_exp);
    (out, log_sum_exp)
}
