//! The inner activation of gated feed-forward layers.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::plain;
use super::record::{BackwardPass, record};
use super::storage::{Dense, is_fused, tensor};
use crate::swiglu;

/// `silu(a) b`: `x` is `[.., 2 W]` and holds `a` and `b` side by side, the result is `[.., W]`.
///
/// See [`swiglu`](crate::swiglu).
pub fn swiglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if !is_fused(&x) {
        return plain::swiglu(x);
    }
    Tensor::from_dispatch(Dispatch::swiglu(x.into_dispatch()))
}

/// Gated activations on backend tensors.
#[backend_extension(Autodiff, Flex)]
pub(super) trait SwigluOps: Backend {
    /// A gated activation.
    fn swiglu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl SwigluOps for Flex {
    fn swiglu(x: FlexTensor) -> FlexTensor {
        with_backward([x]).0
    }
}

impl<C: CheckpointStrategy> SwigluOps for Autodiff<Flex, C> {
    fn swiglu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, 1>([x], with_backward)
    }
}

fn with_backward([x]: [FlexTensor; 1]) -> (FlexTensor, BackwardPass<1>) {
    let shape = x.layout().shape().clone();
    let width = shape.last().copied().unwrap_or_default() / 2;
    let x = Dense::<f32>::new(x);
    let mut half = shape.clone();
    if let Some(last) = half.last_mut() {
        *last = width;
    }
    let y = tensor(swiglu::forward(width, x.values()), half);
    let backward = move |grad: FlexTensor| {
        let grad = Dense::<f32>::new(grad);
        [tensor(swiglu::backward(width, x.values(), grad.values()), shape.clone())]
    };
    (y, BackwardPass::new(backward))
}
