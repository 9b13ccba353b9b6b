//! What a model does not understand of prompts.

use std::collections::HashSet;

use stride::pipeline::{GenerateRequest, Pipeline};

/// Says what the model does not understand of the prompts, each of which is looked at once.
pub(super) fn warn_about_all(
    pipeline: &Pipeline,
    requests: &[GenerateRequest],
) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for request in requests {
        if seen.insert(("prompt", &request.prompt)) {
            warn_about(pipeline, "prompt", &request.prompt)?;
        }
        let Some(negative_prompt) = &request.negative_prompt else { continue };
        if seen.insert(("negative prompt", negative_prompt)) {
            warn_about(pipeline, "negative prompt", negative_prompt)?;
        }
    }
    if requests.iter().any(|request| request.negative_prompt.is_some() && request.cfg_scale == 1.0)
    {
        tracing::warn!("the negative prompt has no effect at --cfg-scale 1; try --cfg-scale 2");
    }
    Ok(())
}

/// Says what the model does not understand.
fn warn_about(pipeline: &Pipeline, what: &str, prompt: &str) -> anyhow::Result<()> {
    for warning in pipeline.prompt_report(prompt)?.warnings(what) {
        tracing::warn!("{warning}");
    }
    Ok(())
}
