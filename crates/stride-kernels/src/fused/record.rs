//! Recording an operation with a backward pass of its own.

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

/// Gradients of the inputs from the gradient of the output.
#[derive(Clone)]
pub(super) struct BackwardPass<const N: usize>(
    Arc<dyn Fn(FlexTensor) -> [FlexTensor; N] + Send + Sync>,
);

impl<const N: usize> BackwardPass<N> {
    pub(super) fn new(f: impl Fn(FlexTensor) -> [FlexTensor; N] + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }
}

impl<const N: usize> fmt::Debug for BackwardPass<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackwardPass")
    }
}

#[derive(Debug)]
struct Recorded;

impl<const N: usize> Backward<Flex, N> for Recorded {
    type State = BackwardPass<N>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        for (parent, grad) in ops.parents.into_iter().zip((ops.state.0)(grad)) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, grad);
            }
        }
    }
}

/// Runs `forward` on the values of `inputs`; if one of them is tracked, the backward pass that
/// `forward` returns gives the gradients of all of them.
pub(super) fn record<C: CheckpointStrategy, const N: usize>(
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
    forward: impl FnOnce([FlexTensor; N]) -> (FlexTensor, BackwardPass<N>),
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let values = inputs.map(|input| input.into_primitive());
    let (output, backward) = forward(values);
    match Recorded.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(backward, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}
