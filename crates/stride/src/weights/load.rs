//! Reading weights into a module.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::WeightsError;
use super::names::{Path, transpose};

/// Fills a module with the tensors of a safetensors file whose names start with `prefix`.
///
/// Tensors may be stored as f32, f16 or bf16 and become f32. `file_name` is for errors only.
///
/// # Errors
/// The file is damaged; a parameter is missing, has another shape, is no floating-point tensor or
/// is not finite; or a tensor under the prefix belongs to no parameter.
pub fn load<M: Module>(
    module: M,
    file_name: &str,
    bytes: &[u8],
    prefix: &str,
) -> Result<M, WeightsError> {
    let file = open(file_name, bytes)?;
    // Older transformers stored the numbers of the positions beside their embeddings.
    let is_weight = |name: &&str| name.starts_with(prefix) && !name.ends_with(".position_ids");
    let unused = file.names().into_iter().filter(is_weight);
    let mut loader = Loader {
        unused: unused.map(str::to_owned).collect(),
        file,
        file_name,
        prefix,
        path: Path::default(),
        error: None,
    };
    let module = module.map(&mut loader);
    if let Some(error) = loader.error {
        return Err(error);
    }
    match loader.unused.pop_first() {
        Some(tensor) => Err(WeightsError::Unexpected { file: file_name.to_owned(), tensor }),
        None => Ok(module),
    }
}

/// Reads one tensor as f32.
///
/// # Errors
/// As for [`load`], and when the tensor has not `D` axes.
pub fn tensor<const D: usize>(
    file_name: &str,
    bytes: &[u8],
    key: &str,
    device: &Device,
) -> Result<Tensor<D>, WeightsError> {
    let file = open(file_name, bytes)?;
    let view = file.tensor(key).map_err(|_| WeightsError::Missing {
        file: file_name.to_owned(),
        tensor: key.to_owned(),
    })?;
    if view.shape().len() != D {
        return Err(WeightsError::Shape {
            file: file_name.to_owned(),
            tensor: key.to_owned(),
            expected: vec![0; D],
            found: view.shape().to_vec(),
        });
    }
    let values = read(file_name, key, &view)?;
    Ok(Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device))
}

struct Loader<'a> {
    file: SafeTensors<'a>,
    file_name: &'a str,
    prefix: &'a str,
    path: Path,
    unused: BTreeSet<String>,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    /// The values of the parameter at the current path, in the module's layout.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let view = self.file.tensor(name).map_err(|_| WeightsError::Missing {
            file: self.file_name.to_owned(),
            tensor: name.to_owned(),
        })?;
        let mut expected = shape.to_vec();
        if self.path.is_transposed() {
            expected.reverse();
        }
        if view.shape() != expected {
            return Err(WeightsError::Shape {
                file: self.file_name.to_owned(),
                tensor: name.to_owned(),
                expected,
                found: view.shape().to_vec(),
            });
        }
        let values = read(self.file_name, name, &view)?;
        Ok(match (self.path.is_transposed(), expected.as_slice()) {
            (true, &[rows, cols]) => transpose(&values, rows, cols),
            _ => values,
        })
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let name = self.path.file_name(self.prefix);
        let shape = param.lazy_shape();
        match self.values(&name, &shape) {
            Ok(values) => {
                self.unused.remove(&name);
                // Not `map`, which would draw the initial value first, only to drop it.
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(
                    Tensor::from_data(TensorData::new(values, shape), &device),
                    id,
                )
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

fn open<'a>(file_name: &str, bytes: &'a [u8]) -> Result<SafeTensors<'a>, WeightsError> {
    SafeTensors::deserialize(bytes)
        .map_err(|source| WeightsError::Corrupt { file: file_name.to_owned(), source })
}

fn read(file_name: &str, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, WeightsError> {
    let pairs = || view.data().chunks_exact(2).map(|b| [b[0], b[1]]);
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Dtype::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        other => {
            return Err(WeightsError::Dtype {
                file: file_name.to_owned(),
                tensor: name.to_owned(),
                found: format!("{other:?}"),
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(WeightsError::NotFinite {
            file: file_name.to_owned(),
            tensor: name.to_owned(),
            index,
            value: values[index],
        }),
        None => Ok(values),
    }
}
