//! Tensors by name: the state of the optimizer in a checkpoint, and the parameters of a module with their gradients.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use stride_kernels::fused::{self, SumOfSquares};

use crate::TrainError;

/// f32 tensors by name, in host memory.
///
/// Values are kept in Burn's own layout (a linear weight is `[in, out]`) and saving and loading
/// change no bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedTensors(pub BTreeMap<String, TensorData>);

impl NamedTensors {
    /// Removes and returns the tensors whose names start with `prefix`, without the prefix.
    #[must_use]
    pub fn take_prefix(&mut self, prefix: &str) -> Self {
        let names: Vec<String> =
            self.0.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let taken = names
            .into_iter()
            .filter_map(|name| Some((name[prefix.len()..].to_owned(), self.0.remove(&name)?)));
        Self(taken.collect())
    }

    /// Serialises to the bytes of a safetensors file.
    ///
    /// # Errors
    /// When the safetensors library refuses, which names no case of ours.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, String> {
        let views = self
            .0
            .iter()
            .map(|(name, data)| {
                let view = TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes());
                view.map(|view| (name.as_str(), view))
                    .map_err(|error| format!("tensor {name}: {error}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        safetensors::serialize(views, None).map_err(|error| error.to_string())
    }

    /// Reads a safetensors file of f32 tensors.
    ///
    /// # Errors
    /// When the file is missing, damaged or holds another type.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = stride_files::read_file(path).map_err(TrainError::io(path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(TrainError::weights(path))?;
        let tensors = file.iter().map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {name}: expected F32, found {:?}", view.dtype()));
            }
            let values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok((
                name.to_owned(),
                TensorData::new(values.collect::<Vec<f32>>(), view.shape().to_vec()),
            ))
        });
        tensors.collect::<Result<_, _>>().map(Self).map_err(TrainError::weights(path))
    }

    /// Removes the tensor of this name and puts it on a device, flattened.
    pub(super) fn take_flat(&mut self, name: &str, device: &Device) -> Option<Tensor<1>> {
        let data = self.0.remove(name)?;
        let length = data.num_elements();
        let (bytes, _, dtype) = data.into_parts();
        Some(Tensor::from_data(TensorData::from_bytes(bytes, [length], dtype), device))
    }
}

/// Replaces the value of a parameter, which stays trained or frozen as it was.
///
/// `new` gets the old value without its gradient graph and returns the new one.
fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    new: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let (id, tensor, mapper) = param.consume();
    let (is_autodiff, is_trained) = (tensor.is_autodiff(), tensor.is_require_grad());
    let mut tensor = new(tensor.inner());
    if is_autodiff {
        tensor = tensor.autodiff().set_require_grad(is_trained);
    }
    Param::from_mapped_value(id, tensor, mapper)
}

/// A place in a module. As in files of weights, variants of enums leave no trace in its name, so that a network keeps
/// its name when another kind appears beside it.
#[derive(Default)]
struct Place(Vec<Option<String>>);

impl Place {
    fn enter(&mut self, name: &str, container_type: &str) {
        let is_variant = container_type.starts_with("Enum:");
        self.0.push((!is_variant).then(|| name.to_owned()));
    }

    fn name(&self) -> String {
        self.0.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(".")
    }
}

/// The name of a parameter without the variants that checkpoints of earlier versions have in it: fields begin with a
/// small letter, variants with a capital.
pub(super) fn without_variants(name: &str) -> String {
    let is_field = |part: &&str| !part.starts_with(|c: char| c.is_ascii_uppercase());
    name.split('.').filter(is_field).collect::<Vec<_>>().join(".")
}

/// The value of every parameter without its gradient graph, flattened, by path in the module.
pub(crate) fn flat_values<M: Module>(module: &M) -> BTreeMap<String, Tensor<1>> {
    collect(module, None)
}

/// The gradient of every parameter that has one, flattened, by path in the module.
fn flat_gradients<M: Module>(module: &M, from: Gradients) -> BTreeMap<String, Tensor<1>> {
    collect(module, Some(from))
}

fn collect<M: Module>(module: &M, gradients: Option<Gradients>) -> BTreeMap<String, Tensor<1>> {
    let mut collector = Collector { place: Place::default(), gradients, tensors: BTreeMap::new() };
    module.visit(&mut collector);
    collector.tensors
}

struct Collector {
    place: Place,
    /// Where gradients are taken from; values are taken if there are none.
    gradients: Option<Gradients>,
    tensors: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match &mut self.gradients {
            Some(gradients) => param.val().grad_remove(gradients),
            None => Some(param.val().inner()),
        };
        if let Some(tensor) = tensor {
            self.tensors.insert(self.place.name(), tensor.reshape([-1]));
        }
    }
}

/// Replaces the flattened values of the parameters that `partners` names.
///
/// `new` gets a parameter's path, its lengths along the axes, its value and its partner. The module is passed by
/// value, so that a value which nobody else holds may be changed in place.
pub(super) fn map_flat<M: Module>(
    module: M,
    partners: BTreeMap<String, Tensor<1>>,
    new: impl FnMut(&str, &[usize], Tensor<1>, Tensor<1>) -> Tensor<1>,
) -> M {
    module.map(&mut Mapper { place: Place::default(), partners, new })
}

struct Mapper<F> {
    place: Place,
    partners: BTreeMap<String, Tensor<1>>,
    new: F,
}

impl<F: FnMut(&str, &[usize], Tensor<1>, Tensor<1>) -> Tensor<1>> ModuleMapper for Mapper<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.place.name();
        let Some(partner) = self.partners.remove(&name) else {
            return param;
        };
        replace(param, |value| {
            let dims = value.dims();
            (self.new)(&name, &dims, value.reshape([-1]), partner).reshape(dims)
        })
    }
}

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

    /// Where the gradients are, if there are any.
    pub(crate) fn device(&self) -> Option<Device> {
        self.0.values().flatten().next().map(Tensor::device)
    }

    /// The sums over the shares, in host memory.
    pub(crate) fn into_host(self) -> BTreeMap<String, Vec<f32>> {
        let numbers = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect();
        self.sum().sums.into_iter().map(|(name, sum)| (name, numbers(sum))).collect()
    }

    /// Gradients from host memory.
    pub(crate) fn from_host(
        values: impl Iterator<Item = (String, Vec<f32>)>,
        device: &Device,
    ) -> Self {
        let tensor = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        Self(values.map(|(name, values)| (name, vec![tensor(values)])).collect())
    }

    /// Adds the shares so far, which leaves one tensor a parameter.
    #[must_use]
    pub(crate) fn joined(self) -> Self {
        let mut squares = SumOfSquares::default();
        let join = |(name, shares)| (name, vec![fused::join_gradients(shares, &mut squares)]);
        Self(self.0.into_iter().map(join).collect())
    }

    /// The sum over the shares.
    pub(crate) fn sum(self) -> GradientSum {
        let mut squares = SumOfSquares::default();
        let join = |(name, shares)| (name, fused::join_gradients(shares, &mut squares));
        let sums = self.0.into_iter().map(join).collect();
        GradientSum { sums, norm: squares.total().sqrt() }
    }

    /// The sum over the shares in host memory.
    pub fn into_tensors(self) -> NamedTensors {
        let sums = self.sum().sums.into_iter();
        NamedTensors(sums.map(|(name, sum)| (name, sum.into_data())).collect())
    }
}

/// The gradient over all rows of a step.
pub(crate) struct GradientSum {
    pub(super) sums: BTreeMap<String, Tensor<1>>,
    norm: f64,
}

impl GradientSum {
    /// The sum of the squares of every parameter's gradient; reads all of them.
    pub(crate) fn squares(&self) -> impl Iterator<Item = (&str, f64)> {
        let square = |sum: &Tensor<1>| sum.clone().into_data().iter::<f64>().map(|g| g * g).sum();
        self.sums.iter().map(move |(name, sum)| (name.as_str(), square(sum)))
    }

    /// The norm over all parameters: sqrt of the sum of squares, in f64.
    pub(crate) fn norm(&self) -> f64 {
        self.norm
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
