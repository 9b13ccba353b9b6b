//! `stride import`: PyTorch checkpoints to folders of safetensors.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use stride_models::{ImportReport, import};

use crate::terminal::print_json;

/// Names of tensors that the report lists.
const SHOWN: usize = 5;

/// Convert a PyTorch checkpoint to a folder of safetensors; it is read and never executed
///
/// Configuration and tokenizer are taken from the folder, or, for a single file, config.json from beside it.
/// Checkpoints of facebookresearch/DiT need none.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A .pth, .pt, .bin or .ckpt file, or a folder with such a file or its shards
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Folder to create
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Entry of a training checkpoint to take, such as `model` or `state_dict.ema`; else averages, or else weights
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report = import(&self.source, &self.out, self.key.as_deref())?;
        if self.json {
            return print_json(&json!({
                "folder": self.out,
                "files": report.files,
                "sources": report.sources,
                "key": report.key,
                "class": report.class,
                "tensors": report.tensors,
                "parameters": report.parameters,
                "left_out": report.left_out,
                "without_place": report.without_place,
                "other_entries": report.other_entries,
                "not_finite": report.not_finite,
                "config_from_shapes": report.config_from_shapes,
            }));
        }
        let ImportReport {
            sources,
            key,
            class,
            tensors,
            parameters,
            left_out,
            without_place,
            other_entries,
            not_finite,
            files,
            config_from_shapes,
        } = report;
        let mut stdout = crate::terminal::stdout();
        for source in sources {
            writeln!(stdout, "read {}", source.display())?;
        }
        if let Some(key) = key {
            writeln!(stdout, "used the entry {key} of a training checkpoint")?;
        }
        if !other_entries.is_empty() {
            let others = list(&other_entries);
            writeln!(stdout, "left out other entries, which --key can name: {others}")?;
        }
        writeln!(stdout, "{tensors} tensors, {parameters} parameters")?;
        if !left_out.is_empty() {
            let (count, names) = (left_out.len(), list(&left_out));
            writeln!(stdout, "left out {count} that are not weights: {names}")?;
        }
        match without_place.as_deref() {
            Some([]) => {}
            Some(names) => {
                let (count, names) = (names.len(), list(names));
                writeln!(stdout, "left out {count} that the network has no place for: {names}")?;
            }
            None => writeln!(stdout, "no network that is known here: the names are not compared")?,
        }
        if !not_finite.is_empty() {
            let (count, names) = (not_finite.len(), list(&not_finite));
            tracing::warn!("{count} tensors hold values that are infinite or not numbers: {names}");
        }
        let origin =
            if config_from_shapes { "inferred from its shapes" } else { "from config.json" };
        match class {
            Some(class) => writeln!(stdout, "a {class}, {origin}")?,
            None => writeln!(stdout, "config.json names no class")?,
        }
        writeln!(stdout, "wrote {}: {}", self.out.display(), files.join(", "))?;
        Ok(())
    }
}

/// Names, of which only the first are written out.
fn list(names: &[String]) -> String {
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names[..names.len().min(SHOWN)].join(", ") + more
}
