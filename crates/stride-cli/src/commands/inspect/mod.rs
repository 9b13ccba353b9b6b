//! `stride inspect`: what an image, a file of arrays, or a folder of a model, a run or prepared data holds.

mod arrays;
mod findings;
mod folder;
mod image;
mod run;
mod tokens;
mod weights;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use stride::image::ImageFormat;

use findings::Findings;

use crate::terminal::{printable, printable_json};
use crate::usage::usage;

/// Show what a file or folder holds, or the tokens of a text
///
/// For a PNG, JPEG or WebP file, how it was made; for safetensors, PyTorch's .pth, .pt, .bin and .ckpt, and .npz, the tensors; for a
/// model folder, its components, their configurations and sizes; for a training run, a checkpoint or prepared data, what
/// it is, where it stands and its configuration.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// An image, a file of tensors, or a folder of a model, a run, a checkpoint or prepared data
    #[arg(value_name = "FILE", required_unless_present = "tokens")]
    file: Option<PathBuf>,
    /// Show the tokens of a text instead: ids, words, and what the model does not know
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    tokens: Option<String>,
    /// Model folder for --tokens [default: the model inside this program]
    #[arg(long, value_name = "DIR", conflicts_with = "file", requires = "tokens")]
    model: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let findings = match (&self.tokens, &self.file) {
            (Some(text), _) => tokens::inspect(text, self.model.as_deref())?,
            (None, Some(file)) => inspect(file)?,
            (None, None) => return usage("expected FILE, or --tokens TEXT"),
        };
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
        return run::inspect(path).unwrap_or_else(|| folder::inspect(path));
    }
    let file =
        stride_files::open_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut start = Vec::new();
    file.take(12)
        .read_to_end(&mut start)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if ImageFormat::of_bytes(&start).is_some() {
        return image::inspect(path);
    }
    // A safetensors file starts with the length of its JSON header, then the header.
    let has_extension = path.extension().is_some_and(|extension| extension == "safetensors");
    if has_extension || start.get(8) == Some(&b'{') {
        return weights::inspect(path);
    }
    if stride_models::PytorchFile::is_one(path) {
        return arrays::inspect_pytorch(path);
    }
    if stride_eval::npz::is_archive(path) {
        return arrays::inspect_npz(path);
    }
    bail!(
        "{}: expected an image (PNG, JPEG, WebP), a file of tensors (.safetensors, .pth, .npz), or a folder of a model, a \
         run, a checkpoint or prepared data, found something else",
        path.display()
    )
}
