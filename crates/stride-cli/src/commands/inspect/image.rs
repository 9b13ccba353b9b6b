//! What a PNG file says about how it was made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use stride::image::read_png_metadata_and_others;

use super::findings::{Findings, push_fields, size_text};

/// Shows size, the `parameters` text and the fields of our JSON chunk.
pub(super) fn inspect(path: &Path) -> anyhow::Result<Findings> {
    let bytes =
        stride_files::read_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The others are ComfyUI's `prompt` and `workflow`, and whatever else programs write.
    let (metadata, others) =
        read_png_metadata_and_others(&bytes).with_context(|| path.display().to_string())?;
    let [width, height] = sides(&bytes);
    // Another program may have put something else there.
    let settings: Value = metadata
        .json
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    let mut text = String::new();
    writeln!(text, "PNG, {width}x{height}, {}", size_text(bytes.len() as u64))?;
    match &metadata.parameters {
        Some(parameters) => writeln!(text, "{parameters}")?,
        None if others.is_empty() => writeln!(text, "it does not say how it was made")?,
        None => {}
    }
    for (keyword, other) in &others {
        writeln!(text, "{keyword}: {}", shortened(other))?;
    }
    push_fields(&mut text, "  ", &settings);
    let json = json!({
        "kind": "png",
        "file": path,
        "width": width,
        "height": height,
        "bytes": bytes.len(),
        "parameters": metadata.parameters,
        "texts": others.into_iter().collect::<BTreeMap<_, _>>(),
        "stride": settings,
    });
    Ok(Findings { text, json })
}

/// A text that fits on a screen; workflows may have megabytes, and `--json` shows all of it.
fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 2000;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => {
            let left = text[end..].chars().count();
            format!("{} ... and {left} characters more (--json shows all)", &text[..end]).into()
        }
        None => text.into(),
    }
}

/// Width and height, which stand at fixed places of a PNG file that was found readable.
fn sides(bytes: &[u8]) -> [u32; 2] {
    [16, 20]
        .map(|start| bytes[start..].first_chunk().map_or(0, |number| u32::from_be_bytes(*number)))
}
