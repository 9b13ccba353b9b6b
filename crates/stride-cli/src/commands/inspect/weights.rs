//! What a safetensors file holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use safetensors::tensor::Metadata;
use serde_json::json;

use super::findings::{Findings, shorten, size_text};

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The header of a safetensors file, and the length of the file.
pub(super) struct Header {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tensors: Vec<TensorEntry>,
    pub(super) file_bytes: u64,
}

/// One tensor of the file.
pub(super) struct TensorEntry {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

impl TensorEntry {
    fn values(&self) -> u128 {
        self.shape.iter().map(|&size| size as u128).product()
    }
}

impl Header {
    /// Reads the header alone, and checks that the file is as long as it says.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        let file_bytes = file.metadata().with_context(context)?.len();
        let cut_short = || {
            format!(
                "{}: not a complete safetensors file; copy or download it again",
                path.display()
            )
        };
        let mut length = [0; 8];
        file.read_exact(&mut length).with_context(cut_short)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES || length > file_bytes {
            bail!("{} (its header would have {length} bytes)", cut_short());
        }
        let mut header = Vec::new();
        file.take(length).read_to_end(&mut header).with_context(context)?;
        let header: Metadata = serde_json::from_slice(&header).with_context(cut_short)?;
        let expected = 8 + length + header.data_len() as u64;
        if expected != file_bytes {
            bail!("{} (expected {expected} bytes, found {file_bytes})", cut_short());
        }
        let mut tensors: Vec<_> = header
            .tensors()
            .into_iter()
            .map(|(name, info)| TensorEntry {
                name,
                dtype: format!("{:?}", info.dtype),
                shape: info.shape.clone(),
            })
            .collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { metadata, tensors, file_bytes })
    }

    /// Number of values in all tensors.
    pub(super) fn parameters(&self) -> u128 {
        self.tensors.iter().map(TensorEntry::values).sum()
    }
}

/// Lists metadata and tensors.
pub(super) fn inspect(path: &Path) -> anyhow::Result<Findings> {
    let header = Header::read(path)?;
    let parameters = header.parameters();
    let mut text = String::new();
    writeln!(
        text,
        "safetensors, {}, {} tensors, {parameters} parameters",
        size_text(header.file_bytes),
        header.tensors.len()
    )?;
    for (name, value) in &header.metadata {
        writeln!(text, "  {name}: {}", shorten(value))?;
    }
    let width = header.tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
    for tensor in &header.tensors {
        writeln!(text, "{:width$}  {:5} {:?}", tensor.name, tensor.dtype, tensor.shape)?;
    }
    let tensors: Vec<_> = header
        .tensors
        .iter()
        .map(|tensor| json!({"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape}))
        .collect();
    let json = json!({
        "kind": "safetensors",
        "file": path,
        "bytes": header.file_bytes,
        "parameters": parameters as u64,
        "metadata": header.metadata,
        "tensors": tensors,
    });
    Ok(Findings { text, json })
}
