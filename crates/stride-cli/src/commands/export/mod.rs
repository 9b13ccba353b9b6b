//! `stride export`: a model for other programs.

mod diffusers;
mod onnx;
mod sampling;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde_json::json;
use stride::sampler::Sampler;
use stride_models::Model;

use crate::terminal::print_json;

/// Write a model in another program's form
///
/// diffusers: a folder that DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True) loads. Its Python files, a few
/// hundred lines beside the weights, are the networks in PyTorch and the sampler; the same seed draws the same image, but for
/// rounding.
///
/// onnx: text encoder, transformer and decoder as ONNX files, the tokenizer, and generate.py, which draws with them in
/// onnxruntime.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Model folder [default: the model inside this program]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The other program
    #[arg(long, value_name = "PROGRAM")]
    to: Target,
    /// Folder to create; one that is there is replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// A program that models are exported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Hugging Face diffusers, in Python
    Diffusers,
    /// onnxruntime and other programs that run ONNX files
    Onnx,
}

impl Export {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Model { pipeline, hash } = Model::load(self.model.as_deref(), &Device::flex())?;
        let sampler = pipeline.index().sampler;
        if matches!(sampler, Sampler::Ddim(_) | Sampler::Ddpm(_)) {
            bail!(
                "this model is sampled by {}, which the exported sampler does not have; expected a model of \
                 flow matching, shortcut, mean flow or consistency",
                sampler.description()
            );
        }
        let files = match self.to {
            Target::Diffusers => diffusers::write(&pipeline, &self.out)?,
            Target::Onnx => onnx::write(&pipeline, &self.out)?,
        };
        if self.to == Target::Onnx && pipeline.parts().completion.is_some() {
            tracing::warn!(
                "generate.py in the folder draws prompts as they are typed; this program completes short ones, and \
                 prints what it draws instead (`stride generate --json`)"
            );
        }
        if self.json {
            return print_json(&json!({
                "folder": self.out, "files": files, "model": pipeline.index().name, "model_hash": hash,
            }));
        }
        let mut stdout = crate::terminal::stdout();
        writeln!(stdout, "wrote {}: {}", self.out.display(), files.join(", "))?;
        Ok(())
    }
}
