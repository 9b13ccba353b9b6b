//! Linear layers.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::extension::FusedOps;
use super::precision;
use super::record::{BackwardPass, record};
use super::storage::{Dense, tensor};
use crate::activation::Activation;
use crate::column_sums::column_sums;
use crate::gemm::{self, Compute, Epilogue, MatrixRef, PackedRhs, Rhs};

/// A layer, and an activation where there is one, on rows: `[R, K]` to `[R, N]`.
pub(super) fn on_rows(layer: &Linear, x: Tensor<2>, activation: Option<Activation>) -> Tensor<2> {
    let weight = layer.weight.val();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[1]], &x.device()),
    };
    let packed = if x.is_autodiff() { None } else { precision::packed(layer) };
    let how = Product { compute: precision::compute(), packed, activation };
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::linear(x, weight, bias.into_dispatch(), how))
}

/// How a product is made.
#[derive(Clone, Debug)]
pub(super) struct Product {
    compute: Compute,
    /// The weight, if it was packed before.
    packed: Option<Arc<PackedRhs>>,
    activation: Option<Activation>,
}

/// Linear layers on backend tensors.
#[backend_extension(Autodiff, Flex)]
pub(super) trait LinearOps: Backend {
    /// `x weight + bias`, or an activation of it.
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Product,
    ) -> FloatTensor<Self>;
}

impl LinearOps for Flex {
    fn linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, how: Product) -> FlexTensor {
        product(&Dense::new(x), &Dense::new(weight), bias, &how)
    }
}

impl<C: CheckpointStrategy> LinearOps for Autodiff<Flex, C> {
    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Product,
    ) -> FloatTensor<Self> {
        // The gradient needs what goes into the activation, so it is kept.
        let before = Product { activation: None, ..how };
        let y = record::<C, 3>([x, weight, bias], |inputs| with_backward(inputs, before));
        match how.activation {
            Some(activation) => Self::activate(y, activation),
            None => y,
        }
    }
}

fn product(x: &Dense, weight: &Dense, bias: FlexTensor, how: &Product) -> FlexTensor {
    let bias = Dense::new(bias);
    let ([rows, inner], [_, width]) = (x.dims(), weight.dims());
    let epilogue =
        Epilogue { bias: Some(bias.values()), activation: how.activation, ..Epilogue::default() };
    let rhs = match &how.packed {
        Some(packed) => Rhs::Packed(packed),
        None => Rhs::Plain(MatrixRef::row_major(weight.values(), inner, width)),
    };
    let x = MatrixRef::row_major(x.values(), rows, inner);
    tensor(gemm::product(x, rhs, how.compute, &epilogue), [rows, width])
}

fn with_backward(
    [x, weight, bias]: [FlexTensor; 3],
    how: Product,
) -> (FlexTensor, BackwardPass<3>) {
    let (x, weight) = (Dense::new(x), Dense::new(weight));
    let ([rows, inner], [_, width]) = (x.dims(), weight.dims());
    let y = product(&x, &weight, bias, &how);
    let backward = move |grad: FlexTensor, wanted: [bool; 3]| {
        let grad = Dense::new(grad);
        let grad_rows = MatrixRef::row_major(grad.values(), rows, width);
        let product = |a: MatrixRef<'_>, b: MatrixRef<'_>| {
            gemm::product(a, Rhs::Plain(b), how.compute, &Epilogue::default())
        };
        let weight = MatrixRef::row_major(weight.values(), inner, width);
        let grad_x = wanted[0].then(|| product(grad_rows, weight.transposed()));
        let x = MatrixRef::row_major(x.values(), rows, inner);
        let grad_weight = wanted[1].then(|| product(x.transposed(), grad_rows));
        let grad_bias = wanted[2].then(|| column_sums(grad.values(), width));
        [
            grad_x.map(|grad| tensor(grad, [rows, inner])),
            grad_weight.map(|grad| tensor(grad, [inner, width])),
            grad_bias.map(|grad| tensor(grad, [width])),
        ]
    };
    (y, BackwardPass::sparing(backward))
}
