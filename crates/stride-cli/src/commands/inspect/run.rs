//! What the folders hold that Stride makes besides models: training runs, their checkpoints, prepared data.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use stride_data::PreparedHeader;
use stride_train::{Checkpoint, Resume};

use super::findings::{Findings, push_fields, size_text};

/// Bytes of a configuration, at most.
const MAX_CONFIG: u64 = 1 << 20;
/// Bytes at the end of a file of metrics among which the last line is looked for.
const TAIL: u64 = 1 << 16;

/// Where a run keeps what it measures.
const METRICS: &str = "metrics.jsonl";
/// Where runs and checkpoints keep their configuration.
const CONFIG: &str = "config.toml";

/// What the folder is, if it is one of these.
pub(super) fn inspect(path: &Path) -> Option<anyhow::Result<Findings>> {
    let has = |name: &str| path.join(name).is_file();
    if has("prepared.json") {
        Some(inspect_prepared(path))
    } else if has("trainer_state.json") {
        Some(inspect_checkpoint(path))
    } else if has(CONFIG) && !has("config.json") && !has("model_index.json") {
        Some(inspect_run(path))
    } else {
        None
    }
}

/// A run: its configuration, where it stands, its last metrics and its model.
fn inspect_run(path: &Path) -> anyhow::Result<Findings> {
    let config = read_config(path)?;
    let checkpoints: Vec<u64> = Checkpoint::all(path).into_iter().map(|(step, _)| step).collect();
    let metrics = last_metrics(&path.join(METRICS))?;
    let model = Some(path.join("model")).filter(|model| model.is_dir());
    let mut text = String::new();
    writeln!(text, "training run")?;
    push_config(&mut text, &config)?;
    match (checkpoints.first(), checkpoints.last()) {
        (Some(first), Some(last)) if first != last => {
            writeln!(text, "{} checkpoints, at steps {first} to {last}", checkpoints.len())?;
        }
        (Some(step), _) => writeln!(text, "1 checkpoint, at step {step}")?,
        (None, _) => writeln!(text, "no checkpoint")?,
    }
    if !metrics.is_null() {
        writeln!(text, "last metrics")?;
        push_fields(&mut text, "  ", &metrics);
    }
    match &model {
        Some(model) => writeln!(text, "model: {} (stride inspect tells more)", model.display())?,
        None => writeln!(text, "no model yet")?,
    }
    let json = json!({
        "kind": "run",
        "file": path,
        "config": config,
        "checkpoints": checkpoints,
        "metrics": metrics,
        "model": model,
    });
    Ok(Findings { text, json })
}

/// A checkpoint, which is checked as before a run goes on from it.
fn inspect_checkpoint(path: &Path) -> anyhow::Result<Findings> {
    let checkpoint = Checkpoint::open(path, &Resume::From(path.to_owned()))?;
    let state = serde_json::to_value(checkpoint.trainer_state()?)?;
    let config = read_config(path)?;
    let mut text = String::new();
    writeln!(text, "checkpoint, complete")?;
    push_fields(&mut text, "  ", &state);
    let files = files_in(path)?;
    for (name, bytes) in &files {
        writeln!(text, "  {name}  {}", size_text(*bytes))?;
    }
    push_config(&mut text, &config)?;
    let files: Vec<Value> =
        files.iter().map(|(name, bytes)| json!({"name": name, "bytes": bytes})).collect();
    let json = json!({
        "kind": "checkpoint",
        "file": path,
        "state": state,
        "config": config,
        "files": files,
    });
    Ok(Findings { text, json })
}

/// A prepared folder: how it was made, and its size.
fn inspect_prepared(path: &Path) -> anyhow::Result<Findings> {
    let header = serde_json::to_value(PreparedHeader::read(path)?)?;
    let files = files_in(path)?;
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let mut text = String::new();
    writeln!(text, "prepared data, complete, {} files, {}", files.len(), size_text(bytes))?;
    push_fields(&mut text, "  ", &header);
    let json = json!({"kind": "prepared", "file": path, "bytes": bytes, "header": header});
    Ok(Findings { text, json })
}

/// The configuration of a run as JSON.
fn read_config(folder: &Path) -> anyhow::Result<Value> {
    let path = folder.join(CONFIG);
    let context = || format!("cannot read {}", path.display());
    let size = fs::metadata(&path).with_context(context)?.len();
    if size > MAX_CONFIG {
        bail!("{}: {size} bytes; expected a configuration, at most 1 MiB", path.display());
    }
    let text = stride_files::read_text_file(&path).with_context(context)?;
    let table: toml::Table =
        text.parse().with_context(|| format!("{}: not TOML", path.display()))?;
    Ok(serde_json::to_value(table)?)
}

/// The sections of a configuration, a line for each setting.
fn push_config(text: &mut String, config: &Value) -> anyhow::Result<()> {
    let Value::Object(sections) = config else { return Ok(()) };
    writeln!(text, "configuration")?;
    for (name, value) in sections {
        if value.is_object() {
            writeln!(text, "  {name}")?;
            push_fields(text, "    ", value);
        } else {
            push_fields(text, "  ", &json!({ name: value }));
        }
    }
    Ok(())
}

/// The last whole line of a file of metrics; null where there is none.
fn last_metrics(path: &Path) -> anyhow::Result<Value> {
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let context = || format!("cannot read {}", path.display());
    let mut file = stride_files::open_file(path).with_context(context)?;
    let size = file.metadata().with_context(context)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL))).with_context(context)?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).with_context(context)?;
    let text = String::from_utf8_lossy(&bytes);
    let objects = text.lines().rev().map(serde_json::from_str);
    Ok(objects.filter_map(Result::ok).find(Value::is_object).unwrap_or(Value::Null))
}

/// Names and sizes of the files in a folder and the folders in it, sorted.
fn files_in(folder: &Path) -> anyhow::Result<Vec<(String, u64)>> {
    let context = |path: &Path| format!("cannot read {}", path.display());
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inside) = folders.pop() {
        let path = folder.join(&inside);
        for entry in fs::read_dir(&path).with_context(|| context(&path))? {
            let entry = entry.with_context(|| context(&path))?;
            // Links are not followed, so that there are no circles.
            let metadata = entry.metadata().with_context(|| context(&entry.path()))?;
            let name = inside.join(entry.file_name());
            if metadata.is_dir() {
                folders.push(name);
            } else {
                files.push((name.to_string_lossy().into_owned(), metadata.len()));
            }
        }
    }
    files.sort();
    Ok(files)
}
