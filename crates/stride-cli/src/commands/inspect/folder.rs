//! What a model folder holds.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use stride::pipeline::MODEL_INDEX;
use stride_models::{Description, PytorchFile, SafetensorsFile};

use super::findings::{Findings, push_fields, shorten, size_text};

/// Lists the index, then every component: configuration, files, parameters.
pub(super) fn inspect(path: &Path) -> anyhow::Result<Findings> {
    let index_path = path.join(MODEL_INDEX);
    let has_index = index_path.is_file();
    let has_config = path.join("config.json").is_file();
    if !has_index && !has_config {
        bail!(
            "{}: expected a model folder with {MODEL_INDEX}, a component with config.json, a training run with config.toml, or \
             prepared data with prepared.json, found none of them",
            path.display()
        );
    }
    let mut text = String::new();
    let mut components = serde_json::Map::new();
    let mut names = Vec::new();
    let mut index = Value::Null;
    if has_index {
        index = read_json(&index_path)?;
        writeln!(text, "{MODEL_INDEX}")?;
        push_fields(&mut text, "  ", &index);
        names = folders_in(path)?;
    } else {
        names.push(String::new());
    }
    let mut parameters = 0;
    for name in names {
        let component = inspect_component(&path.join(&name), &name, &mut text)?;
        parameters += component["parameters"].as_u64().unwrap_or(0);
        components.insert(name, component);
    }
    writeln!(text, "{parameters} parameters in all")?;
    let json = json!({
        "kind": "model",
        "file": path,
        "index": index,
        "components": components,
        "parameters": parameters,
    });
    Ok(Findings { text, json })
}

fn inspect_component(folder: &Path, name: &str, text: &mut String) -> anyhow::Result<Value> {
    writeln!(text, "{}/", if name.is_empty() { "." } else { name })?;
    let mut files = Vec::new();
    let mut config = Value::Null;
    let mut parameters = 0;
    for file in files_in(folder)? {
        let path = folder.join(&file);
        let bytes =
            fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        if file == "config.json" {
            config = read_json(&path)?;
            push_fields(text, "  ", &config);
        }
        if file.ends_with(".safetensors") {
            let header = SafetensorsFile::open(&path)?;
            let count = header.parameters();
            parameters += count as u64;
            writeln!(
                text,
                "  {file}  {}, {} tensors, {count} parameters",
                size_text(bytes),
                header.tensors().len()
            )?;
            for (key, value) in header.metadata() {
                writeln!(text, "    {key}: {}", shorten(value))?;
            }
        } else {
            writeln!(text, "  {file}  {}", size_text(bytes))?;
        }
        files.push(json!({"name": file, "bytes": bytes}));
    }
    let is_weights = |file: &Value| {
        let name = file["name"].as_str().unwrap_or_default();
        name.ends_with(".safetensors")
            || name.contains(".index.")
            || PytorchFile::is_one(Path::new(name))
    };
    let mut network = Value::Null;
    if files.iter().any(is_weights) {
        match Description::of(folder) {
            Ok(found) => {
                push_network(text, &found)?;
                parameters = found.parameters as u64;
                network = serde_json::to_value(found)?;
            }
            // Files that are whole, but no network: several variants, a shard that is missing.
            Err(error) => {
                writeln!(text, "  cannot be loaded: {error}")?;
                network = json!({"problem": error.to_string()});
            }
        }
    }
    Ok(json!({"config": config, "files": files, "parameters": parameters, "network": network}))
}

/// What the weights that would be loaded are.
fn push_network(text: &mut String, network: &Description) -> anyhow::Result<()> {
    let class = network.class.as_deref().unwrap_or("no class named");
    let dtypes: Vec<&str> = network.dtypes.keys().map(String::as_str).collect();
    let (tensors, parameters) = (network.tensors, network.parameters);
    let dtypes = dtypes.join(" and ");
    writeln!(text, "  network: {class}, {parameters} parameters in {tensors} tensors of {dtypes}")?;
    for (stack, count) in &network.stacks {
        writeln!(text, "    {stack}: {count}")?;
    }
    for (name, shape) in &network.shapes {
        writeln!(text, "    {name}: {shape:?}")?;
    }
    Ok(())
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let bytes =
        stride_files::read_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}: not JSON", path.display()))
}

/// Names of the folders in a folder, sorted.
fn folders_in(path: &Path) -> anyhow::Result<Vec<String>> {
    entries_in(path, Path::is_dir)
}

/// Names of the files in a folder, sorted.
fn files_in(path: &Path) -> anyhow::Result<Vec<String>> {
    entries_in(path, Path::is_file)
}

fn entries_in(path: &Path, wanted: fn(&Path) -> bool) -> anyhow::Result<Vec<String>> {
    let context = || format!("cannot read {}", path.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(path).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wanted(&entry.path()) && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
