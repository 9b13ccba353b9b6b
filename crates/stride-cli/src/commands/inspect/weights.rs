//! What a safetensors file holds.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use stride_models::SafetensorsFile;

use super::findings::{Findings, shorten, size_text};

/// Lists metadata and tensors.
pub(super) fn inspect(path: &Path) -> anyhow::Result<Findings> {
    let file = SafetensorsFile::open(path)?;
    let (bytes, parameters) = (file.file_bytes(), file.parameters());
    let mut text = String::new();
    writeln!(
        text,
        "safetensors, {}, {} tensors, {parameters} parameters",
        size_text(bytes),
        file.tensors().len()
    )?;
    for (name, value) in file.metadata() {
        writeln!(text, "  {name}: {}", shorten(value))?;
    }
    let width = file.tensors().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, layout) in file.tensors() {
        let dtype = format!("{:?}", layout.dtype);
        writeln!(text, "{name:width$}  {dtype:5} {:?}", layout.shape)?;
    }
    let tensors: Vec<_> = file
        .tensors()
        .map(|(name, layout)| {
            json!({"name": name, "dtype": format!("{:?}", layout.dtype), "shape": layout.shape})
        })
        .collect();
    let json = json!({
        "kind": "safetensors",
        "file": path,
        "bytes": bytes,
        "parameters": parameters,
        "metadata": file.metadata(),
        "tensors": tensors,
    });
    Ok(Findings { text, json })
}
