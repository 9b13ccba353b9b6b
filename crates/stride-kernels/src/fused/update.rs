//! Updates of weights in place, as operations of the Flex backend.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::storage::Dense;
use crate::adamw::{self, AdamwStep};
use crate::average;

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

    fn follow(average: FlexTensor, value: FlexTensor, decay: f32) -> FlexTensor {
        let (mut average, value) = (Dense::new(average), Dense::new(value));
        average::follow(average.values_mut(), value.values(), decay);
        average.into_inner()
    }
}
