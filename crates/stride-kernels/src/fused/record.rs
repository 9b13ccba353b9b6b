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

/// Gradients of the inputs from the gradient of the output, of those alone that are wanted.
#[derive(Clone)]
pub(super) struct BackwardPass<const N: usize>(Arc<Gradient<N>>);

type Gradient<const N: usize> =
    dyn Fn(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send + Sync;

impl<const N: usize> BackwardPass<N> {
    pub(super) fn new(f: impl Fn(FlexTensor) -> [FlexTensor; N] + Send + Sync + 'static) -> Self {
        Self::sparing(move |grad, _| f(grad).map(Some))
    }

    /// Of a function that leaves out what costs much and is not wanted.
    pub(super) fn sparing(
        f: impl Fn(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send + Sync + 'static,
    ) -> Self {
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
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, grad) in ops.parents.into_iter().zip((ops.state.0)(grad, wanted)) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<Flex>(parent.id, grad);
            }
        }
    }
}

/// Runs `forward` on the values of `inputs`; if one of them is tracked, the backward pass that
/// `forward` returns gives the gradients of those that are.
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
