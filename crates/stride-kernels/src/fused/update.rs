//! Updates of weights in place, as operations of the Flex backend.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use burn::tensor::Tensor;

use super::storage::Dense;
use crate::adamw::{self, AdamwStep};
use crate::muon::{self, MuonStep};
use crate::{average, gradient};

/// Updates of flat tensors outside automatic differentiation.
#[backend_extension(Flex)]
pub(super) trait UpdateOps: Backend {
    /// Value and moments after a step of AdamW.
    fn adamw(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        with: AdamwStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Value and momentum of a matrix after a step of Muon.
    fn muon(
        value: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        buffer: FloatTensor<Self>,
        shape: [usize; 2],
        with: MuonStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// A moving average after a step.
    fn follow(
        average: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: f32,
    ) -> FloatTensor<Self>;
}

impl UpdateOps for Flex {
    fn adamw(
        value: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        with: AdamwStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = Dense::new(gradient);
        let [mut value, mut first, mut second] = [value, first, second].map(Dense::new);
        adamw::step(
            value.values_mut(),
            gradient.values(),
            first.values_mut(),
            second.values_mut(),
            with,
        );
        (value.into_inner(), first.into_inner(), second.into_inner())
    }

    fn muon(
        value: FlexTensor,
        gradient: FlexTensor,
        buffer: FlexTensor,
        shape: [usize; 2],
        with: MuonStep,
    ) -> (FlexTensor, FlexTensor) {
        let gradient = Dense::new(gradient);
        let [mut value, mut buffer] = [value, buffer].map(Dense::new);
        muon::step(value.values_mut(), gradient.values(), buffer.values_mut(), shape, with);
        (value.into_inner(), buffer.into_inner())
    }

    fn follow(average: FlexTensor, value: FlexTensor, decay: f32) -> FlexTensor {
        let (mut average, value) = (Dense::new(average), Dense::new(value));
        average::follow(average.values_mut(), value.values(), decay);
        average.into_inner()
    }
}

/// See [`fused::join_gradients`](super::join_gradients).
pub(super) fn join_gradients(first: Tensor<1>, others: Vec<Tensor<1>>) -> (Tensor<1>, f64) {
    let dense = |tensor: Tensor<1>| {
        let primitive = tensor.try_into_primitive::<Flex>();
        Dense::new(primitive.expect("gradients lie on Flex, outside automatic differentiation"))
    };
    let mut sum = dense(first);
    let others: Vec<Dense> = others.into_iter().map(dense).collect();
    let others: Vec<&[f32]> = others.iter().map(Dense::values).collect();
    let squares = gradient::join(sum.values_mut(), &others);
    (Tensor::from_primitive::<Flex>(sum.into_inner()), squares)
}
