//! Tensors as plain numbers.

use burn::tensor::Tensor;

/// The values of a tensor of floating-point numbers, in order.
pub(crate) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec_as().expect("every floating-point type becomes f32")
}
