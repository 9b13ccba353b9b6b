//! What a model makes of a text.

use std::fmt::Write as _;
use std::path::Path;

use burn::tensor::Device;
use serde_json::json;
use stride_models::Model;

use super::findings::Findings;

/// Lists the tokens of a text, and says what of it the model does not know.
pub(super) fn inspect(prompt: &str, model: Option<&Path>) -> anyhow::Result<Findings> {
    let Model { pipeline, .. } = Model::load(model, &Device::flex())?;
    let report = pipeline.prompt_report(prompt)?;
    let tokens = pipeline.prompt_tokens(prompt)?;
    let mut text = String::new();
    writeln!(text, "{} tokens for the model {}", tokens.len(), pipeline.index().name)?;
    writeln!(text, "{:>6} {:>6}  {:<20} word", "id", "row", "token")?;
    for token in &tokens {
        let row = token.row.map_or("-".to_owned(), |row| row.to_string());
        let note = match (token.row, token.is_known) {
            (None, _) => "  left out",
            (_, true) => "",
            (_, false) => "  unknown",
        };
        writeln!(text, "{:>6} {row:>6}  {:<20} {}{note}", token.id, token.token, token.word)?;
    }
    if let Some(read) = &report.without_weights {
        writeln!(text, "brackets and weights have no effect; read as: {read}")?;
    }
    if !report.unknown_words.is_empty() {
        let words: Vec<String> = report.unknown_words.iter().map(ToString::to_string).collect();
        writeln!(text, "words that the model never saw: {}", words.join(", "))?;
    }
    if report.dropped_tokens > 0 {
        writeln!(text, "too long; left out at the end: {}", report.dropped_text)?;
    }
    let json = json!({
        "kind": "tokens",
        "text": prompt,
        "model": pipeline.index().name,
        "tokens": tokens,
        "report": report,
    });
    Ok(Findings { text, json })
}
