//! Files of weights: safetensors, and PyTorch's own format without executing its pickles.

use std::path::Path;

use stride_files::ContentHash;
use stride_models::PytorchFile;

use crate::EvalError;

/// The bytes of a safetensors file with the tensors of `path`, and the SHA-256 of `path` itself.
///
/// Of PyTorch's files, floating-point tensors alone: counters of batches are not weights.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, String), EvalError> {
    let bytes = stride_files::read_file(path).map_err(EvalError::io(path))?;
    let sha256 = ContentHash::of(&bytes).to_string();
    if PytorchFile::is_one(path) {
        return Ok((PytorchFile::open(path)?.to_safetensors()?, sha256));
    }
    Ok((bytes, sha256))
}
