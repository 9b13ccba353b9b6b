//! Reading weights into a module.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use safetensors::tensor::Dtype;

use super::WeightsError;
use super::names::{Path, transpose};
use super::source::{SafetensorsBytes, TensorSource, missing};

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
    load_from(module, &SafetensorsBytes::open(file_name, bytes)?, prefix)
}

/// As [`load`], from anywhere; one tensor at a time is in memory beside the module.
///
/// # Errors
/// As [`load`].
pub fn load_from<M: Module>(
    module: M,
    source: &dyn TensorSource,
    prefix: &str,
) -> Result<M, WeightsError> {
    let (module, report) = fill(module, source, prefix, false)?;
    match report.left_out.first() {
        Some(name) => {
            let (file, tensor) = source.origin(name);
            Err(WeightsError::Unexpected { file, tensor })
        }
        None => Ok(module),
    }
}

/// What [`load_shared`] did, in names of parameters, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that have the file's numbers now.
    pub taken: Vec<String>,
    /// Tensors of the file that no parameter has the name of.
    pub left_out: Vec<String>,
    /// Parameters that keep what they had, since the file lacks them.
    pub fresh: Vec<String>,
}

/// Fills those parameters of a module that the source has, and says which.
///
/// # Errors
/// A tensor that both have differs in shape, is no floating-point tensor or is not finite.
pub fn load_shared<M: Module>(
    module: M,
    source: &dyn TensorSource,
) -> Result<(M, LoadReport), WeightsError> {
    fill(module, source, "", true)
}

fn fill<M: Module>(
    module: M,
    source: &dyn TensorSource,
    prefix: &str,
    shared_only: bool,
) -> Result<(M, LoadReport), WeightsError> {
    // Older transformers stored the numbers of the positions beside their embeddings.
    let is_weight = |name: &String| {
        name.starts_with(prefix) && !(name.ends_with(".position_ids") || name == "position_ids")
    };
    let mut loader = Loader {
        unused: source.names().into_iter().filter(is_weight).collect(),
        source,
        prefix,
        shared_only,
        path: Path::default(),
        report: LoadReport::default(),
        error: None,
    };
    let module = module.map(&mut loader);
    if let Some(error) = loader.error {
        return Err(error);
    }
    let mut report = loader.report;
    report.left_out = loader.unused.into_iter().collect();
    report.taken.sort_unstable();
    report.fresh.sort_unstable();
    Ok((module, report))
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
    let file = SafetensorsBytes::open(file_name, bytes)?;
    let layout = file.layout(key).ok_or_else(|| missing(&file, key))?;
    if layout.shape.len() != D {
        return Err(WeightsError::Shape {
            file: file_name.to_owned(),
            tensor: key.to_owned(),
            expected: vec![0; D],
            found: layout.shape,
        });
    }
    let values = read(&file, key, layout.dtype, None)?;
    Ok(Tensor::from_data(TensorData::new(values, layout.shape), device))
}

struct Loader<'a> {
    source: &'a dyn TensorSource,
    prefix: &'a str,
    /// Parameters that the source lacks stay as they are.
    shared_only: bool,
    path: Path,
    unused: BTreeSet<String>,
    report: LoadReport,
    error: Option<WeightsError>,
}

impl Loader<'_> {
    /// The values of the parameter at the current path, in the module's layout; none where the
    /// source lacks it and may.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, WeightsError> {
        let Some(layout) = self.source.layout(name) else {
            return if self.shared_only { Ok(None) } else { Err(missing(self.source, name)) };
        };
        let mut expected = shape.to_vec();
        if self.path.is_transposed() {
            expected.reverse();
        }
        if layout.shape != expected {
            let (file, tensor) = self.source.origin(name);
            return Err(WeightsError::Shape { file, tensor, expected, found: layout.shape });
        }
        let transposed = match (self.path.is_transposed(), layout.shape.as_slice()) {
            (true, &[rows, cols]) => Some([rows, cols]),
            _ => None,
        };
        read(self.source, name, layout.dtype, transposed).map(Some)
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
            Ok(Some(values)) => {
                self.unused.remove(&name);
                self.report.taken.push(name);
                // Not `map`, which would draw the initial value first, only to drop it.
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(
                    Tensor::from_data(TensorData::new(values, shape), &device),
                    id,
                )
            }
            Ok(None) => {
                self.report.fresh.push(name);
                param
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

/// The numbers of a tensor; of a matrix of `transposed` rows and columns, column by column.
fn read(
    source: &dyn TensorSource,
    name: &str,
    dtype: Dtype,
    transposed: Option<[usize; 2]>,
) -> Result<Vec<f32>, WeightsError> {
    let bytes = source.bytes(name)?;
    let values = match dtype {
        Dtype::F32 => decode(&bytes, transposed, f32::from_le_bytes),
        Dtype::F16 => decode(&bytes, transposed, |stored| f16::from_le_bytes(stored).to_f32()),
        // It is the upper half of an f32. The crate's conversion looks at every number for NaN, which takes longer than all else here.
        Dtype::BF16 => {
            decode(&bytes, transposed, |[low, high]: [u8; 2]| f32::from_le_bytes([0, 0, low, high]))
        }
        other => {
            let (file, tensor) = source.origin(name);
            return Err(WeightsError::Dtype { file, tensor, found: format!("{other:?}") });
        }
    };
    // All of them, without a way out in between, is several at a time.
    if values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        return Ok(values);
    }
    let at = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    let index = match transposed {
        Some([rows, cols]) => at % rows * cols + at / rows,
        None => at,
    };
    let (file, tensor) = source.origin(name);
    Err(WeightsError::NotFinite { file, tensor, index, value: values[at] })
}

fn decode<const N: usize>(
    bytes: &[u8],
    transposed: Option<[usize; 2]>,
    number: impl Fn([u8; N]) -> f32,
) -> Vec<f32> {
    let (stored, _) = bytes.as_chunks::<N>();
    match transposed {
        Some([rows, cols]) => transpose(rows, cols, |index| number(stored[index])),
        None => stored.iter().map(|&bytes| number(bytes)).collect(),
    }
}
