//! The models of a job: a model, or that of a training run with its checkpoints.

use std::path::Path;

use anyhow::Context as _;
use stride::pipeline::{Pipeline, PipelineParts};
use stride::weights;
use stride_eval::evaluator::EvaluatedModel;
use stride_files::ContentHash;
use stride_models::Model;
use stride_train::{Checkpoint, RunConfig};

use super::job::Job;

/// The model of a job first, then the checkpoints of its run in their order.
pub(super) fn load(job: &Job) -> anyhow::Result<Vec<EvaluatedModel>> {
    let device = job.compute.device()?;
    let folder = match &job.run {
        Some(run) => Some(run.join("model")),
        None => job.model.clone(),
    };
    let model = Model::load(folder.as_deref(), &device)?;
    let mut checkpoints = Vec::new();
    if let Some(run) = &job.run {
        for (step, dir) in Checkpoint::all(run) {
            checkpoints.push(load_checkpoint(model.pipeline.parts(), step, &dir, job)?);
        }
    }
    let generator = Box::new(model.pipeline.with_compute(job.compute.dtype()));
    let model = EvaluatedModel { generator, hash: model.hash, training_step: None };
    Ok(std::iter::once(model).chain(checkpoints).collect())
}

/// The networks that a checkpoint would have exported, in the place of the model's.
fn load_checkpoint(
    model: &PipelineParts,
    step: u64,
    dir: &Path,
    job: &Job,
) -> anyhow::Result<EvaluatedModel> {
    let config = RunConfig::load(&dir.join("config.toml"), &[])?;
    let path = dir.join(config.exported_weights());
    let bytes = stride_files::read_file(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let file = path.display().to_string();
    let mut parts = model.clone();
    parts.dit = weights::load(parts.dit, &file, &bytes, "dit.")?;
    parts.text_encoder = weights::load(parts.text_encoder, &file, &bytes, "text_encoder.")?;
    let pipeline =
        Pipeline::from_parts(parts, &job.compute.device()?)?.with_compute(job.compute.dtype());
    let hash = Model::short_hash(ContentHash::of(&bytes));
    Ok(EvaluatedModel { generator: Box::new(pipeline), hash, training_step: Some(step) })
}
