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
    let report = pipeline.prompt_report(prompt)?;
    if let Some(read) = &report.without_weights {
        tracing::warn!(
            "brackets and weights, as in (word:1.3) or ((word)), have no effect; the {what} is read as: {}",
            shorten(read)
        );
    }
    if !report.unknown_words.is_empty() {
        let words: Vec<String> = report.unknown_words.iter().map(ToString::to_string).collect();
        tracing::warn!(
            "the model never saw these words of the {what}, and treats them as unknown: {}",
            words.join(", ")
        );
    }
    if report.dropped_tokens > 0 {
        tracing::warn!(
            "the {what} is too long for the model; its last {} tokens are left out: {}",
            report.dropped_tokens,
            shorten(&report.dropped_text)
        );
    }
    Ok(())
}

/// The start of a long text.
fn shorten(text: &str) -> String {
    const WIDTH: usize = 80;
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
