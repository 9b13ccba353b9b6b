//! Convolutions of images whose channels lie together.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor, bf16};

use super::extension::FusedOps;
use super::precision;
use super::record::{BackwardPass, record};
use super::storage::{Dense, Held, tensor};
use crate::activation::Activation;
use crate::column_sums::column_sums;
use crate::convolution::{self, After, Geometry};
use crate::gemm::{Compute, PackedRhs};

/// What comes before and after a convolution.
#[derive(Clone, Debug)]
pub struct Conv2dOptions {
    /// How often every row and column is repeated before; 1 leaves them as they are.
    pub upsample: usize,
    /// Added to the result, `[B, H', W', O]`.
    pub residual: Option<Tensor<4>>,
    /// Applied last.
    pub activation: Option<Activation>,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { upsample: 1, residual: None, activation: None }
    }
}

/// The sizes of a layer on images `[B, H, W, C]`; none if the kernels do not serve it.
pub(super) fn geometry(layer: &Conv2d, dims: [usize; 4], upsample: usize) -> Option<Geometry> {
    if layer.groups != 1 || layer.dilation != [1, 1] {
        return None;
    }
    let padding = padding(layer)?;
    let ([batch, height, width, channels], [out_channels, _, down, across]) =
        (dims, layer.weight.dims());
    Some(Geometry {
        batch,
        size: [height, width],
        channels,
        out_channels,
        kernel: [down, across],
        stride: layer.stride,
        padding,
        upsample,
    })
}

/// A layer of this geometry on images, with what the options add.
pub(super) fn convolve(
    layer: &Conv2d,
    x: Tensor<4>,
    geometry: Geometry,
    options: Conv2dOptions,
) -> Tensor<4> {
    let packed = if x.is_autodiff() { None } else { precision::packed_kernel(layer, &geometry) };
    let compute = precision::compute();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([geometry.out_channels], &x.device()),
    };
    let how = Convolution { geometry, compute, packed, activation: options.activation };
    let (x, bias) = (x.into_dispatch(), bias.into_dispatch());
    let weight = layer.weight.val().into_dispatch();
    Tensor::from_dispatch(match options.residual {
        None => Dispatch::conv2d(x, weight, bias, how),
        Some(residual) => Dispatch::conv2d_onto(x, weight, bias, residual.into_dispatch(), how),
    })
}

/// Zeros above, below, left and right, where the layer names them.
fn padding(layer: &Conv2d) -> Option<[[usize; 2]; 2]> {
    match layer.padding {
        PaddingConfig2d::Valid => Some([[0; 2]; 2]),
        PaddingConfig2d::Explicit(top, left, bottom, right) => Some([[top, bottom], [left, right]]),
        PaddingConfig2d::Same => None,
    }
}

/// How a convolution is computed.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    geometry: Geometry,
    compute: Compute,
    /// The weight, if it was packed before.
    packed: Option<Arc<PackedRhs>>,
    activation: Option<Activation>,
}

/// Convolutions on backend tensors.
#[backend_extension(Autodiff, Flex)]
pub(super) trait ConvolutionOps: Backend {
    /// A convolution, or an activation of it.
    fn conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self>;
    /// The same with a residual added before the activation.
    fn conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self>;
}

impl ConvolutionOps for Flex {
    fn conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, how: Convolution) -> FlexTensor {
        forward(x, &Dense::new(weight), bias, None, &how)
    }

    fn conv2d_onto(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
        how: Convolution,
    ) -> FlexTensor {
        forward(x, &Dense::new(weight), bias, Some(residual), &how)
    }
}

impl<C: CheckpointStrategy> ConvolutionOps for Autodiff<Flex, C> {
    fn conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self> {
        // The gradient needs what goes into the activation, so it is kept.
        let before = Convolution { activation: None, ..how };
        let y = record::<C, 3>([x, weight, bias], |inputs| with_backward(inputs, before));
        activate::<C>(y, how.activation)
    }

    fn conv2d_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        how: Convolution,
    ) -> FloatTensor<Self> {
        let activation = how.activation;
        let y = Self::conv2d(x, weight, bias, Convolution { activation: None, ..how });
        activate::<C>(Self::float_add(y, residual), activation)
    }
}

fn activate<C: CheckpointStrategy>(
    y: FloatTensor<Autodiff<Flex, C>>,
    activation: Option<Activation>,
) -> FloatTensor<Autodiff<Flex, C>> {
    match activation {
        Some(activation) => <Autodiff<Flex, C> as FusedOps>::activate(y, activation),
        None => y,
    }
}

fn forward(
    x: FlexTensor,
    weight: &Dense,
    bias: FlexTensor,
    residual: Option<FlexTensor>,
    how: &Convolution,
) -> FlexTensor {
    if x.dtype() == DType::BF16 {
        forward_in::<bf16>(&Dense::new(x), weight, bias, residual, how)
    } else {
        forward_in::<f32>(&Dense::new(x), weight, bias, residual, how)
    }
}

fn forward_in<T: Held>(
    x: &Dense<T>,
    weight: &Dense,
    bias: FlexTensor,
    residual: Option<FlexTensor>,
    how: &Convolution,
) -> FlexTensor {
    let Convolution { geometry, compute, packed, activation } = how;
    let (bias, residual) = (Dense::new(bias), residual.map(Dense::new));
    let residual = residual.as_ref().map(Dense::values);
    let after = After { bias: Some(bias.values()), residual, activation: *activation };
    let y = match packed {
        Some(weight) => convolution::forward(geometry, x.values(), weight, after),
        None => {
            let weight = geometry.pack(weight.values(), *compute);
            convolution::forward(geometry, x.values(), &weight, after)
        }
    };
    let [height, width] = geometry.out_size();
    tensor(y, [geometry.batch, height, width, geometry.out_channels])
}

fn with_backward(
    [x, weight, bias]: [FlexTensor; 3],
    how: Convolution,
) -> (FlexTensor, BackwardPass<3>) {
    let (x, weight) = (Dense::<f32>::new(x), Dense::new(weight));
    let y = forward_in(&x, &weight, bias, None, &how);
    let Convolution { geometry, compute, .. } = how;
    let backward = move |grad: FlexTensor, wanted: [bool; 3]| {
        let grad = Dense::<f32>::new(grad);
        let grad = grad.values();
        let (x, weight) = (&x, &weight);
        let of_x = || convolution::grad_input(&geometry, compute, weight.values(), grad);
        let of_weight = || convolution::grad_weight(&geometry, compute, x.values(), grad);
        let of_bias = || column_sums(grad, geometry.out_channels);
        [
            wanted[0].then(|| tensor(of_x(), x.dims::<4>())),
            wanted[1].then(|| tensor(of_weight(), weight.dims::<4>())),
            wanted[2].then(|| tensor(of_bias(), [geometry.out_channels])),
        ]
    };
    (y, BackwardPass::sparing(backward))
}
