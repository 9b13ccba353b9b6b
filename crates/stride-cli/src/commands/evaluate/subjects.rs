//! What is judged: a model, or a training run with its checkpoints; and the data it is compared with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use stride::pipeline::{Pipeline, PipelineParts};
use stride::weights;
use stride_data::ImageFolder;
use stride_eval::images::hex;
use stride_train::{Checkpoint, RunConfig};

use super::arguments::Job;
use crate::model_folder::{self, HASH_DIGITS};
use crate::usage::usage;

/// A model, or a checkpoint on its way.
pub(super) struct Subject {
    pub(super) pipeline: Pipeline,
    /// The start of the SHA-256 of its weights.
    pub(super) hash: String,
    /// Training steps of a checkpoint; absent for the model.
    pub(super) training_step: Option<u64>,
}

impl Subject {
    /// The model of a job first, then the checkpoints of its run in their order.
    pub(super) fn load(job: &Job) -> anyhow::Result<Vec<Self>> {
        let device = job.compute.device();
        let folder = match &job.run {
            Some(run) => Some(run.join("model")),
            None => job.model.clone(),
        };
        let model = model_folder::load(folder.as_deref(), &device)?;
        let mut checkpoints = Vec::new();
        if let Some(run) = &job.run {
            for (step, dir) in Checkpoint::all(run) {
                checkpoints.push(Self::of_checkpoint(model.pipeline.parts(), step, &dir, job)?);
            }
        }
        let pipeline = model.pipeline.with_compute(job.compute.dtype());
        let model = Self { pipeline, hash: model.hash, training_step: None };
        Ok(std::iter::once(model).chain(checkpoints).collect())
    }

    /// The networks that a checkpoint would have exported, in the place of the model's.
    fn of_checkpoint(
        model: &PipelineParts,
        step: u64,
        dir: &Path,
        job: &Job,
    ) -> anyhow::Result<Self> {
        let config = RunConfig::load(&dir.join("config.toml"), &[])?;
        let name = match config.dit.and_then(|dit| dit.export) {
            Some(average) => format!("ema-{average}.safetensors"),
            None => "model.safetensors".to_owned(),
        };
        let path = dir.join(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = path.display().to_string();
        let mut parts = model.clone();
        parts.dit = weights::load(parts.dit, &file, &bytes, "dit.")?;
        parts.text_encoder = weights::load(parts.text_encoder, &file, &bytes, "text_encoder.")?;
        let pipeline =
            Pipeline::from_parts(parts, &job.compute.device())?.with_compute(job.compute.dtype());
        let hash = hex(&Sha256::digest(&bytes)).chars().take(HASH_DIGITS).collect();
        Ok(Self { pipeline, hash, training_step: Some(step) })
    }
}

/// Captioned images to compare with.
pub(super) struct Data {
    /// The name of its sets.
    pub(super) label: &'static str,
    pub(super) path: PathBuf,
    pub(super) folder: ImageFolder,
    pub(super) fingerprint: String,
}

impl Data {
    /// The folders of a job: the data, and held-out data where there is some.
    pub(super) fn load(job: &Job) -> anyhow::Result<Vec<Self>> {
        let folders = [("data", &job.data), ("heldout", &job.heldout)];
        folders
            .into_iter()
            .filter_map(|(label, path)| Some((label, path.as_ref()?)))
            .map(|(label, path)| Self::open(label, path, job.samples))
            .collect()
    }

    fn open(label: &'static str, path: &Path, samples: usize) -> anyhow::Result<Self> {
        let folder = ImageFolder::open(path, Some(samples))?;
        if folder.images.len() < samples {
            return usage(format!(
                "--samples {samples}: {} lists {} images; name fewer samples",
                path.display(),
                folder.images.len()
            ));
        }
        let fingerprint = folder.content_hash()?.to_string();
        Ok(Self { label, path: path.to_owned(), folder, fingerprint })
    }
}
