//! Convolution, batch norm and ReLU in one.

use burn::module::{Param, ParamId};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use stride_kernels::activation::Activation;
use stride_kernels::fused::{Conv2dOptions, conv2d};

/// Epsilon of every batch norm of the network.
const EPSILON: f64 = 1e-3;

/// A convolution whose weights carry the batch norm that follows it.
///
/// The only place where the network convolves.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    layer: Conv2d,
}

/// The numbers of a batch norm, C each.
pub(super) struct BatchNorm {
    pub(super) weight: Tensor<1>,
    pub(super) bias: Tensor<1>,
    pub(super) running_mean: Tensor<1>,
    pub(super) running_var: Tensor<1>,
}

impl Conv {
    /// Folds the norm into the kernel: w s and beta - mean s, with s = gamma / sqrt(var + 1e-3).
    pub(super) fn new(
        kernel: Tensor<4>,
        norm: BatchNorm,
        stride: usize,
        [down, across]: [usize; 2],
    ) -> Self {
        let [out, _, height, width] = kernel.dims();
        let scale = norm.weight / (norm.running_var + EPSILON).sqrt();
        let bias = norm.bias - norm.running_mean * scale.clone();
        let kernel = kernel * scale.reshape([out, 1, 1, 1]);
        let layer = Conv2d {
            weight: Param::initialized(ParamId::new(), kernel),
            bias: Some(Param::initialized(ParamId::new(), bias)),
            stride: [stride; 2],
            kernel_size: [height, width],
            dilation: [1, 1],
            groups: 1,
            padding: PaddingConfig2d::Explicit(down, across, down, across),
        };
        Self { layer }
    }

    /// `[B, H, W, C]` to `[B, h, w, O]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let activation = Some(Activation::Relu);
        conv2d(&self.layer, x, Conv2dOptions { activation, ..Conv2dOptions::default() })
    }
}
