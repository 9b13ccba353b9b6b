//! The transformer's linear layers: initialisation, and application to tokens.

use burn::module::{Initializer, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

/// Applies a layer to every token: `[B, T, I]` to `[B, T, O]`.
///
/// The tokens of all pictures go through as rows of one matrix. With a batch axis the backward
/// pass of Burn 0.22 makes one weight gradient per picture and adds them up.
pub(super) fn per_token(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    as_rows(x, |rows| fused::linear(rows, layer.weight.val(), bias(layer)))
}

/// [`per_token`] followed by an activation.
pub(super) fn per_token_activated(
    layer: &Linear,
    x: Tensor<3>,
    activation: Activation,
) -> Tensor<3> {
    as_rows(x, |rows| fused::linear_activate(rows, layer.weight.val(), bias(layer), activation))
}

/// `[B, T, I]` to `[B, T, O]` by a function of rows, `[R, I]` to `[R, O]`.
fn as_rows(x: Tensor<3>, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<3> {
    let [b, t, d] = x.dims();
    let y = f(x.reshape([b * t, d]));
    let width = y.dims()[1];
    y.reshape([b, t, width])
}

fn bias(layer: &Linear) -> Tensor<1> {
    layer.bias.as_ref().expect("all layers of the transformer have a bias").val()
}

/// A linear layer with zero bias and Xavier-uniform weights, as every inner layer of DiT.
pub(super) fn xavier(d_input: usize, d_output: usize, device: &Device) -> Linear {
    init(d_input, d_output, Initializer::XavierUniform { gain: 1.0 }, device)
}

/// A linear layer with zero bias and weights from N(0, 0.02), as the embedders of DiT.
pub(super) fn normal(d_input: usize, d_output: usize, device: &Device) -> Linear {
    init(d_input, d_output, Initializer::Normal { mean: 0.0, std: 0.02 }, device)
}

/// A linear layer of zeros: the gates of adaLN-Zero and the output.
pub(super) fn zeros(d_input: usize, d_output: usize, device: &Device) -> Linear {
    init(d_input, d_output, Initializer::Zeros, device)
}

fn init(d_input: usize, d_output: usize, weights: Initializer, device: &Device) -> Linear {
    let bias: Param<_> = Initializer::Zeros.init([d_output], device);
    Linear {
        weight: weights.init_with([d_input, d_output], Some(d_input), Some(d_output), device),
        bias: Some(bias),
    }
}
