//! The files of a model, from a folder or from this program.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use burn::tensor::Device;
use sha2::{Digest as _, Sha256};
use stride::pipeline::{FILE_NAMES, Pipeline, PipelineFiles};

use crate::embedded;

/// The file whose hash names a model.
const HASHED: &str = "transformer/diffusion_pytorch_model.safetensors";
/// Hexadecimal digits of the hash that web interfaces show.
pub(crate) const HASH_DIGITS: usize = 10;

/// A model, ready to use.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) pipeline: Pipeline,
    /// The start of the SHA-256 of the transformer's weights.
    pub(crate) hash: String,
}

/// Loads the model in a folder, or the one inside this program.
pub(crate) fn load(folder: Option<&Path>, device: &Device) -> anyhow::Result<Model> {
    let (files, place) = match folder {
        Some(folder) => (read_folder(folder)?, folder.display().to_string()),
        None => (embedded::files()?, "the model inside this program".to_owned()),
    };
    let pipeline = Pipeline::from_files(&files, device)
        .with_context(|| format!("cannot use the model {place}"))?;
    let digest = Sha256::digest(files.get(HASHED)?);
    Ok(Model { pipeline, hash: hex::encode(digest).chars().take(HASH_DIGITS).collect() })
}

fn read_folder(folder: &Path) -> anyhow::Result<PipelineFiles> {
    if !folder.is_dir() {
        bail!(
            "{}: expected a model folder, found none; --model takes the folder with model_index.json",
            folder.display()
        );
    }
    let mut files = PipelineFiles::new();
    for name in FILE_NAMES {
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| {
            format!("cannot read {}; a model folder needs this file", path.display())
        })?;
        files.insert(name, bytes);
    }
    Ok(files)
}
