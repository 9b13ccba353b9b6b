//! `stride inspect`: what an image, a weights file or a model folder holds.

mod findings;
mod folder;
mod image;
mod weights;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use findings::Findings;

use crate::terminal::{printable, printable_json};

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

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let findings = inspect(&self.file)?;
        let mut stdout = crate::terminal::stdout();
        if self.json {
            writeln!(stdout, "{}", printable_json(&findings.json.to_string()))?;
        } else {
            write!(stdout, "{}", printable(&findings.text))?;
        }
        Ok(())
    }
}

fn inspect(path: &Path) -> anyhow::Result<Findings> {
    if path.is_dir() {
        return folder::inspect(path);
    }
    let file =
        stride_files::open_file(path).with_context(|| format!("cannot read {}", path.display()))?;
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
