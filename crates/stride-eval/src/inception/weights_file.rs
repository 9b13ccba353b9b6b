//! Files of weights: safetensors, and PyTorch's own format without executing its pickles.

use std::fs;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest as _, Sha256};

use crate::EvalError;
use crate::pictures::hex;

/// Endings of PyTorch's files.
const PYTORCH: [&str; 4] = ["pth", "pt", "bin", "ckpt"];

/// The bytes of a safetensors file with the tensors of `path`, and the SHA-256 of `path` itself.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, String), EvalError> {
    let bytes = fs::read(path).map_err(EvalError::io(path))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    match PYTORCH.contains(&ending.to_ascii_lowercase().as_str()) {
        true => Ok((from_pytorch(path)?, sha256)),
        false => Ok((bytes, sha256)),
    }
}

/// Floating-point tensors alone: counters of batches are not weights.
fn from_pytorch(path: &Path) -> Result<Vec<u8>, EvalError> {
    let problem = |problem: &dyn std::fmt::Display| EvalError::Format {
        path: path.display().to_string(),
        problem: format!("not a readable PyTorch file ({problem}); copy or download it again"),
    };
    let file = PytorchReader::new(path).map_err(|error| problem(&error))?;
    let mut tensors = Vec::new();
    for (name, tensor) in file.tensors() {
        let dtype = match tensor.dtype() {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            _ => continue,
        };
        let bytes = tensor.read().map_err(|error| problem(&format!("{name}: {error}")))?;
        tensors.push((name.as_str(), dtype, tensor.shape().to_vec(), bytes));
    }
    tensors.sort_by_key(|tensor| tensor.0);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    views
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|error| problem(&error))
}
