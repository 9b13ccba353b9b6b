//! Which tensors the kernels serve, slices out of them, and tensors out of vectors.

use std::marker::PhantomData;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Element, FloatDType, Shape, Tensor, TensorData, bf16};

use crate::device::is_cpu;
use crate::storage_element::StorageElement;

/// Whether the kernels of this crate serve a tensor.
pub(super) fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    is_cpu(&x.device()) && x.dtype() == DType::F32
}

/// Whether the kernels of this crate serve a tensor of images.
pub(super) fn is_fused_image(x: &Tensor<4>) -> bool {
    let is_served = x.dtype() == DType::F32 || (x.dtype() == DType::BF16 && !x.is_autodiff());
    is_cpu(&x.device()) && is_served
}

/// A type of numbers that tensors hold.
pub(super) trait Held: StorageElement + Element {
    /// Its name in the library.
    const TYPE: FloatDType;
    /// The numbers of a tensor of this type, those of other tensors in the same memory too.
    fn of(tensor: &FlexTensor) -> &[Self];
}

impl Held for f32 {
    const TYPE: FloatDType = FloatDType::F32;
    fn of(tensor: &FlexTensor) -> &[Self] {
        tensor.storage()
    }
}

impl Held for bf16 {
    const TYPE: FloatDType = FloatDType::BF16;
    fn of(tensor: &FlexTensor) -> &[Self] {
        tensor.storage()
    }
}

/// A tensor whose numbers lie in order, without gaps, in one type.
#[derive(Clone, Debug)]
pub(super) struct Dense<T = f32>(FlexTensor, PhantomData<T>);

impl<T: Held> Dense<T> {
    /// Copies only if the tensor is of another type, a view with gaps or in another order.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let tensor = Flex::float_cast(tensor, T::TYPE);
        let tensor = if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
        Self(tensor, PhantomData)
    }

    pub(super) fn values(&self) -> &[T] {
        &T::of(&self.0)[self.range()]
    }

    fn range(&self) -> Range<usize> {
        let start = self.0.layout().start_offset();
        start..start + self.0.layout().num_elements()
    }

    /// The length of every axis.
    pub(super) fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims()
    }
}

impl Dense {
    /// The values to write to; copied first if another tensor shares them.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        let range = self.range();
        &mut self.0.storage_mut::<f32>()[range]
    }

    pub(super) fn into_inner(self) -> FlexTensor {
        self.0
    }
}

/// A tensor of these numbers.
pub(super) fn tensor<T: Element>(values: Vec<T>, dims: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims))
}
