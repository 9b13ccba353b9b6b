//! Slices out of Flex tensors, and Flex tensors out of vectors.

use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Shape, TensorData};

/// A tensor whose numbers lie in order, without gaps, in f32.
#[derive(Clone, Debug)]
pub(super) struct Dense(FlexTensor);

impl Dense {
    /// Copies only if the tensor is a view with gaps or in another order.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.0.storage::<f32>()[self.range()]
    }

    /// The same to write to; copied first if another tensor shares them.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        let range = self.range();
        &mut self.0.storage_mut::<f32>()[range]
    }

    fn range(&self) -> Range<usize> {
        let start = self.0.layout().start_offset();
        start..start + self.0.layout().num_elements()
    }

    pub(super) fn into_inner(self) -> FlexTensor {
        self.0
    }

    /// The length of every axis.
    pub(super) fn dims<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims()
    }
}

/// A tensor of these numbers.
pub(super) fn tensor(values: Vec<f32>, dims: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims))
}
