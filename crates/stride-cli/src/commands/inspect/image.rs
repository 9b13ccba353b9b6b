//! What a PNG, JPEG or WebP file says about how it was made.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use stride::image::{ImageFile, read_image_file};

use super::findings::{Findings, push_fields, size_text};

/// Shows size, the `parameters` text and the fields of our JSON.
pub(super) fn inspect(path: &Path) -> anyhow::Result<Findings> {
    let bytes =
        stride_files::read_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The other texts are ComfyUI's `prompt` and `workflow`, and whatever else programs write.
    let ImageFile { format, width, height, metadata, other_texts } =
        read_image_file(&bytes).with_context(|| path.display().to_string())?;
    // Another program may have put something else there.
    let settings: Value = metadata
        .json
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    let mut text = String::new();
    writeln!(text, "{format}, {width}x{height}, {}", size_text(bytes.len() as u64))?;
    match &metadata.parameters {
        Some(parameters) => writeln!(text, "{parameters}")?,
        None if other_texts.is_empty() => writeln!(text, "it does not say how it was made")?,
        None => {}
    }
    for (keyword, other) in &other_texts {
        writeln!(text, "{keyword}: {}", shortened(other))?;
    }
    push_fields(&mut text, "  ", &settings);
    let json = json!({
        "kind": format.to_string().to_lowercase(),
        "file": path,
        "width": width,
        "height": height,
        "bytes": bytes.len(),
        "parameters": metadata.parameters,
        "texts": other_texts.into_iter().collect::<BTreeMap<_, _>>(),
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
