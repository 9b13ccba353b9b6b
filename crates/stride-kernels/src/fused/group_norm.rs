//! Group norms of images whose channels lie together.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::nn::GroupNorm;
use burn::tensor::{DType, Tensor, bf16};

use super::plain;
use super::record::{BackwardPass, record};
use super::storage::{Dense, is_fused_image, tensor};
use crate::group_norm::{self, Geometry};

/// A group norm of images `[B, H, W, C]`, and SiLU of it with `silu`.
///
/// See [`group_norm`](crate::group_norm) for the equation. The result is of the type of `x`; see
/// [`to_compute_dtype`](super::to_compute_dtype).
pub fn group_norm(layer: &GroupNorm, x: Tensor<4>, silu: bool) -> Tensor<4> {
    let (Some(gain), Some(bias), true) = (&layer.gamma, &layer.beta, is_fused_image(&x)) else {
        return plain::group_norm(layer, x, silu);
    };
    let [batch, _, _, channels] = x.dims();
    let (groups, epsilon) = (layer.num_groups, layer.epsilon);
    let geometry = Geometry { batch, channels, groups, epsilon, silu };
    let (gain, bias) = (gain.val().into_dispatch(), bias.val().into_dispatch());
    Tensor::from_dispatch(Dispatch::group_norm(x.into_dispatch(), gain, bias, geometry))
}

/// Group norms on backend tensors.
#[backend_extension(Autodiff, Flex)]
pub(super) trait GroupNormOps: Backend {
    /// A group norm.
    fn group_norm(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
}

impl GroupNormOps for Flex {
    fn group_norm(
        x: FlexTensor,
        gain: FlexTensor,
        bias: FlexTensor,
        geometry: Geometry,
    ) -> FlexTensor {
        if x.dtype() != DType::BF16 {
            return with_backward([x, gain, bias], geometry).0;
        }
        let (x, gain, bias) = (Dense::<bf16>::new(x), Dense::new(gain), Dense::new(bias));
        let (y, _) = group_norm::forward(&geometry, x.values(), gain.values(), bias.values());
        tensor(y, x.dims::<4>())
    }
}

impl<C: CheckpointStrategy> GroupNormOps for Autodiff<Flex, C> {
    fn group_norm(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        record::<C, 3>([x, gain, bias], |inputs| with_backward(inputs, geometry))
    }
}

fn with_backward(inputs: [FlexTensor; 3], geometry: Geometry) -> (FlexTensor, BackwardPass<3>) {
    let [x, gain, bias] = inputs.map(Dense::<f32>::new);
    let dims: [usize; 4] = x.dims();
    let (y, statistics) = group_norm::forward(&geometry, x.values(), gain.values(), bias.values());
    let backward = move |grad: FlexTensor| {
        let grad = Dense::<f32>::new(grad);
        let (values, gain, bias) = (x.values(), gain.values(), bias.values());
        let grads = group_norm::backward(&geometry, values, gain, bias, &statistics, grad.values());
        let channels = [geometry.channels];
        [tensor(grads.x, dims), tensor(grads.gain, channels), tensor(grads.bias, channels)]
    };
    (tensor(y, dims), BackwardPass::new(backward))
}
