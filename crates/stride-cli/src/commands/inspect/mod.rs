//! `stride inspect`: what an image, a weights file or a model folder holds.

mod folder;
mod image;
mod weights;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

/// Show what an image, a weights file or a model folder holds
///
/// For a PNG file, how it was made; for a safetensors file, its metadata and tensors; for a folder, the
/// components of the model, their configurations and sizes.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A PNG file, a safetensors file or a model folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What was found, for eyes and for programs.
struct Findings {
    text: String,
    json: Value,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let findings = inspect(&self.file)?;
        let mut stdout = std::io::stdout();
        if self.json {
            writeln!(stdout, "{}", findings.json)?;
        } else {
            write!(stdout, "{}", findings.text)?;
        }
        Ok(())
    }
}

fn inspect(path: &Path) -> anyhow::Result<Findings> {
    if path.is_dir() {
        return folder::inspect(path);
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut start = Vec::new();
    file.take(9)
        .read_to_end(&mut start)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        return image::inspect(path);
    }
    // A safetensors file starts with the length of its JSON header, then the header.
    let has_extension = path.extension().is_some_and(|extension| extension == "safetensors");
    if has_extension || start.get(8) == Some(&b'{') {
        return weights::inspect(path);
    }
    bail!(
        "{}: expected a PNG file, a safetensors file or a model folder, found something else",
        path.display()
    )
}

/// Adds `name value` lines for the fields of a JSON object, sorted as they come.
fn push_fields(text: &mut String, indent: &str, fields: &Value) {
    let Value::Object(fields) = fields else {
        return;
    };
    for (name, value) in fields {
        let shown = match value {
            Value::String(value) => value.clone(),
            other => shorten(&other.to_string()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{name}: {shown}");
    }
}

/// The start of a long text, for lists of thousands of numbers.
fn shorten(text: &str) -> String {
    const WIDTH: usize = 120;
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDTH).collect();
    format!("{start}... ({} characters)", text.chars().count())
}

/// A file size as people say it.
fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
