//! Gradients by parameter name, summed over the shares of a batch.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use crate::named_tensors::replace;

/// The gradient of a loss with respect to every trained parameter, flattened, by path in the module.
#[derive(Clone, Debug, Default)]
pub struct NamedGradients(pub(crate) BTreeMap<String, Tensor<1>>);

impl NamedGradients {
    /// Differentiates a loss; parameters it does not depend on have no gradient.
    pub fn of<M: Module>(loss: &Tensor<1>, module: &M) -> Self {
        let mut collector =
            Collector { path: Vec::new(), from: loss.backward(), gradients: BTreeMap::new() };
        module.visit(&mut collector);
        Self(collector.gradients)
    }

    /// Adds the gradient of another share of the batch.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(present) => present.add(gradient),
                None => gradient,
            };
            self.0.insert(name, sum);
        }
        self
    }

    /// sqrt of the sum of squares over all parameters; read back from the device once.
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> = self.0.values().map(|g| g.clone().square().sum()).collect();
        if squares.is_empty() {
            return 0.0;
        }
        f64::from(Tensor::cat(squares, 0).sum().into_scalar::<f32>()).sqrt()
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

struct Collector {
    path: Vec<String>,
    from: Gradients,
    gradients: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(&mut self.from) {
            self.gradients.insert(self.path.join("."), gradient.reshape([-1]));
        }
    }
}
