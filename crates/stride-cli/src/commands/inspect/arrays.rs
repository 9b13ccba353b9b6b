//! What files of arrays hold: PyTorch's checkpoints, and archives of numpy.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;
use stride_eval::npz::{ArrayInfo, arrays};
use stride_models::PytorchFile;

use super::findings::{Findings, size_text};

/// Lists the weights of a PyTorch file, which is read and never executed.
pub(super) fn inspect_pytorch(path: &Path) -> anyhow::Result<Findings> {
    let file = PytorchFile::open(path)?;
    let bytes = fs::metadata(path)?.len();
    let parameters: usize = file.shapes().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let mut text = String::new();
    let count = file.shapes().count();
    writeln!(text, "PyTorch, {}, {count} tensors, {parameters} parameters", size_text(bytes))?;
    if let Some(key) = file.key() {
        writeln!(text, "  the entry {key} of a checkpoint")?;
    }
    if !file.left_out().is_empty() {
        writeln!(
            text,
            "  and {} tensors of other types, which are left out",
            file.left_out().len()
        )?;
    }
    let width = file.shapes().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, shape) in file.shapes() {
        writeln!(text, "{name:width$}  {shape:?}")?;
    }
    let tensors: Vec<_> =
        file.shapes().map(|(name, shape)| json!({"name": name, "shape": shape})).collect();
    let json = json!({
        "kind": "pytorch",
        "file": path,
        "bytes": bytes,
        "parameters": parameters,
        "entry": file.key(),
        "left_out": file.left_out(),
        "tensors": tensors,
    });
    Ok(Findings { text, json })
}

/// Lists the arrays of an `.npz` archive, and says what they are to Stride.
pub(super) fn inspect_npz(path: &Path) -> anyhow::Result<Findings> {
    let arrays = arrays(path)?;
    let bytes = fs::metadata(path)?.len();
    let has = |name: &str| arrays.iter().any(|array| array.name == name);
    let content = match arrays.as_slice() {
        _ if has("mu") && has("sigma") => "statistics of images (stride evaluate)",
        [ArrayInfo { name, shape, .. }] if name == "arr_0" && shape.len() == 4 => {
            "images (stride evaluate)"
        }
        _ => "arrays",
    };
    let mut text = String::new();
    writeln!(text, "npz, {}, {} arrays: {content}", size_text(bytes), arrays.len())?;
    let width = arrays.iter().map(|array| array.name.len()).max().unwrap_or(0);
    for ArrayInfo { name, dtype, shape } in &arrays {
        writeln!(text, "{name:width$}  {dtype:5} {shape:?}")?;
    }
    let json = json!({"kind": "npz", "file": path, "bytes": bytes, "arrays": arrays});
    Ok(Findings { text, json })
}
