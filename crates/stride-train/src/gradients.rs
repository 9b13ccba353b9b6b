//! Gradients by parameter name, summed over the shares of a batch.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use stride_kernels::fused;

use crate::named_tensors::{flat_gradients, replace};

/// The gradient of a loss with respect to every trained parameter, flattened, by path in the module; one tensor
/// a share of the batch, whose sum is the gradient.
#[derive(Clone, Debug, Default)]
pub struct NamedGradients(BTreeMap<String, Vec<Tensor<1>>>);

impl NamedGradients {
    /// Differentiates a loss; parameters it does not depend on have no gradient.
    pub fn of<M: Module>(loss: &Tensor<1>, module: &M) -> Self {
        let gradients = flat_gradients(module, loss.backward());
        Self(gradients.into_iter().map(|(name, gradient)| (name, vec![gradient])).collect())
    }

    /// Joins the gradient of another share of the batch; they are added when they are used.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (name, gradients) in other.0 {
            self.0.entry(name).or_default().extend(gradients);
        }
        self
    }

    /// The sums over the shares, and the norm over all parameters: sqrt of the sum of squares, in f64.
    pub(crate) fn into_sums(self) -> (BTreeMap<String, Tensor<1>>, f64) {
        let mut squares = 0.0;
        let sums = self.0.into_iter().map(|(name, shares)| {
            let (sum, of_this) = fused::join_gradients(shares);
            squares += of_this;
            (name, sum)
        });
        let sums = sums.collect();
        (sums, squares.sqrt())
    }
}

/// The same module with leaves of its own in the gradient graph and shared values.
///
/// Graphs that share a leaf share a lock; a module per worker lets workers differentiate at once.
pub fn with_own_leaves<M: Module>(module: &M) -> M {
    module.clone().map(&mut OwnLeaves)
}

struct OwnLeaves;

impl ModuleMapper for OwnLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        replace(param, |value| value)
    }
}
