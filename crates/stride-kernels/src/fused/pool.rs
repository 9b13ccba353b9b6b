//! Pooling of images whose channels lie together.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::plain;
use super::storage::{Dense, is_fused, tensor};
use crate::pool::{self, Geometry, Pooling};

/// The largest numbers or the means of square windows of images, `[B, H, W, C]` to `[B, H', W', C]`: windows
/// of `side` positions, `stride` positions apart, with `padding` positions around the image.
///
/// See [`pool`](crate::pool) for what padding counts. The kernel has no backward pass; where a gradient is wanted
/// the library's operations run.
pub fn pool(
    x: Tensor<4>,
    pooling: Pooling,
    side: usize,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let geometry = Geometry { batch, size: [height, width], channels, side, stride, padding };
    if x.is_autodiff() || !is_fused(&x) {
        return plain::pool(x, pooling, &geometry);
    }
    Tensor::from_dispatch(Dispatch::pool(x.into_dispatch(), pooling, geometry))
}

/// Pooling on backend tensors.
#[backend_extension(Flex)]
pub(super) trait PoolOps: Backend {
    /// Pools without a gradient.
    fn pool(x: FloatTensor<Self>, pooling: Pooling, geometry: Geometry) -> FloatTensor<Self>;
}

impl PoolOps for Flex {
    fn pool(x: FlexTensor, pooling: Pooling, geometry: Geometry) -> FlexTensor {
        let x = Dense::<f32>::new(x);
        let [height, width] = geometry.out_size();
        let y = pool::forward(&geometry, pooling, x.values());
        tensor(y, [geometry.batch, height, width, geometry.channels])
    }
}
