//! Why weights cannot be loaded or saved.

use thiserror::Error;

/// Weights that do not fit; every variant names the file, and the tensor where there is one.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// Not a safetensors file, or cut short.
    #[error("{file}: not a complete safetensors file ({error}); copy or download it again")]
    Corrupt {
        /// The file.
        file: String,
        /// What the reader says.
        error: safetensors::SafeTensorError,
    },
    /// The file cannot be read.
    #[error("{file}: {error}")]
    Read {
        /// The file.
        file: String,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The model has a parameter that the file lacks.
    #[error(
        "{file}: tensor {tensor} is missing; the configuration describes another model than the weights"
    )]
    Missing {
        /// The file.
        file: String,
        /// The parameter.
        tensor: String,
    },
    /// The file has a tensor that the model lacks.
    #[error(
        "{file}: tensor {tensor} is unexpected; the configuration describes another model than the weights"
    )]
    Unexpected {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{file}: tensor {tensor}: expected shape {expected:?} from the configuration, found {found:?}"
    )]
    Shape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The shape of the configured parameter, in the file's layout.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored as something other than a floating-point number.
    #[error("{file}: tensor {tensor}: expected F32, F16 or BF16, found {found}")]
    Dtype {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// The stored type.
        found: String,
    },
    /// A tensor holds an infinity or not-a-number.
    #[error("{file}: tensor {tensor}: value {index} is {value}; the weights are damaged")]
    NotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Position in the tensor, in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The safetensors library refused to write.
    #[error("cannot serialise weights: {0}")]
    Serialize(safetensors::SafeTensorError),
}

impl From<safetensors::SafeTensorError> for WeightsError {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::Serialize(error)
    }
}
