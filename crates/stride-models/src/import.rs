//! Conversion of PyTorch's own files to folders of safetensors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stride_files::NewFolder;

use crate::ModelsError;
use crate::component::class_of;
use crate::fit;
use crate::pytorch::{PytorchFile, write_safetensors};
use crate::role::CONFIG;
use crate::weight_files::{file_names, is_pytorch};

/// The ending of a file that lists shards.
const INDEX: &str = ".bin.index.json";

/// Result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// The files read.
    pub sources: Vec<PathBuf>,
    /// The entry of a trainer's checkpoint that was taken.
    pub key: Option<String>,
    /// The class of the component, if its configuration names one.
    pub class: Option<String>,
    /// Tensors written.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// Tensors that are no weights, such as counters.
    pub left_out: Vec<String>,
    /// Tensors that the network of the configuration has no place for, which are left out as well; absent where its class
    /// is unknown, so that nothing could be compared.
    pub without_place: Option<Vec<String>>,
    /// Other entries of the checkpoint that hold tensors; each could be taken by its name.
    pub other_entries: Vec<String>,
    /// Tensors with values that are infinite or not numbers, sorted; networks with such weights are refused.
    pub not_finite: Vec<String>,
    /// Names of the files written.
    pub files: Vec<String>,
    /// Whether the configuration was inferred from the shapes of the weights.
    pub config_from_shapes: bool,
}

/// Writes the weights of a PyTorch file, or of a folder with one or with shards, as a folder of safetensors with
/// its configuration, all in f32. The folder appears whole or not at all.
///
/// Where the configuration names a network that Stride has, the weights are compared with it, so that the folder loads.
///
/// Of a folder, other small files (`config.json`, tokenizers) are copied. A lone file takes `config.json` from beside
/// it; weights of facebookresearch/DiT need none, since it follows from their shapes. `key` names the entry of a
/// checkpoint to take, instead of averages or else weights.
///
/// # Errors
/// `out` is not empty; the source is not such a file or folder, is damaged, or holds objects that only code can make; the
/// weights lack a tensor of the network, or have it in another shape.
pub fn import(source: &Path, out: &Path, key: Option<&str>) -> Result<ImportReport, ModelsError> {
    if out.exists() && !(out.is_dir() && is_empty(out)?) {
        return Err(ModelsError::config(out)(
            "expected an empty folder or none, found something; name another",
        ));
    }
    let (dir, paths) = if source.is_dir() {
        (source, weights_of(source)?)
    } else {
        (source.parent().unwrap_or(Path::new("")), vec![source.to_owned()])
    };
    let is_alone = paths.len() == 1;
    let open = |path: &PathBuf| PytorchFile::open_entry(path, key, is_alone);
    let files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let config_path = dir.join(CONFIG);
    let (config, config_from_shapes) = if config_path.exists() {
        let bytes = stride_files::read_file(&config_path).map_err(ModelsError::io(&config_path))?;
        let value = serde_json::from_slice(&bytes).map_err(ModelsError::config(&config_path))?;
        (Some(value), false)
    } else {
        (dit_config(&files), true)
    };
    let Some(config) = config else {
        return Err(ModelsError::config(source)(
            "expected config.json beside it, found none, and the weights are not those of a DiT, whose shapes tell; \
             put the configuration of the model there",
        ));
    };

    let without_place = fit::without_place(&config, &config_path, &files)?;
    let is_kept = |name: &str| {
        without_place
            .as_ref()
            .is_none_or(|names| names.binary_search_by(|n| n.as_str().cmp(name)).is_err())
    };
    let folder = NewFolder::create(out)?;
    let mut written = Vec::new();
    if source.is_dir() {
        let is_copied = |name: &String| {
            let is_small = [".json", ".txt", ".model"].iter().any(|end| name.ends_with(end));
            is_small && !name.ends_with(".index.json") && name != CONFIG
        };
        for name in file_names(dir)?.into_iter().filter(is_copied) {
            let path = dir.join(&name);
            folder
                .write(&name, &stride_files::read_file(&path).map_err(ModelsError::io(&path))?)?;
            written.push(name);
        }
    }
    let text =
        serde_json::to_vec_pretty(&config).map_err(ModelsError::config(&out.join(CONFIG)))?;
    folder.write(CONFIG, &text)?;
    // diffusers and transformers name their files so.
    let name = match config.get("_class_name") {
        Some(_) => "diffusion_pytorch_model.safetensors",
        None => "model.safetensors",
    };
    let not_finite = write_safetensors(&files, &folder.path().join(name), is_kept)?;
    folder.commit()?;
    written.extend([CONFIG.to_owned(), name.to_owned()]);
    let shapes = || files.iter().flat_map(PytorchFile::shapes).filter(|(name, _)| is_kept(name));
    Ok(ImportReport {
        sources: paths,
        key: files.iter().find_map(PytorchFile::key).map(str::to_owned),
        class: class_of(&config),
        tensors: shapes().count(),
        parameters: shapes().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
        left_out: files.iter().flat_map(|file| file.left_out().to_vec()).collect(),
        other_entries: files.iter().flat_map(|file| file.other_entries().to_vec()).collect(),
        not_finite,
        without_place: without_place.clone(),
        files: written,
        config_from_shapes,
    })
}

fn is_empty(dir: &Path) -> Result<bool, ModelsError> {
    Ok(fs::read_dir(dir).map_err(ModelsError::io(dir))?.next().is_none())
}

/// The PyTorch files of a folder: the shards of its index, else the one there is.
fn weights_of(dir: &Path) -> Result<Vec<PathBuf>, ModelsError> {
    let names = file_names(dir)?;
    if let Some(index) = names.iter().find(|name| name.ends_with(INDEX)) {
        let shards = crate::weight_files::read_index(&dir.join(index))?;
        let shards: BTreeSet<PathBuf> = shards.into_values().collect();
        return Ok(shards.into_iter().collect());
    }
    let found: Vec<&String> = names.iter().filter(|name| is_pytorch(name)).collect();
    match found.as_slice() {
        [name] => Ok(vec![dir.join(name)]),
        [] => Err(ModelsError::config(dir)(
            "expected a PyTorch file such as pytorch_model.bin, found none",
        )),
        several => {
            let list: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            let list = list.join(", ");
            Err(ModelsError::config(dir)(format!(
                "expected one PyTorch file, found {list}; name one of them"
            )))
        }
    }
}

/// The configuration of facebookresearch/DiT that fits the shapes, if they are those of a DiT.
fn dit_config(files: &[PytorchFile]) -> Option<Value> {
    let [file] = files else { return None };
    let &[hidden_size, in_channels, patch_size, _] = file.shape("x_embedder.proj.weight")? else {
        return None;
    };
    let &[rows, _] = file.shape("final_layer.linear.weight")? else { return None };
    let &[classes, _] = file.shape("y_embedder.embedding_table.weight")? else { return None };
    let &[_, tokens, _] = file.shape("pos_embed")? else { return None };
    let is_block = |name: &str| name.starts_with("blocks.") && name.ends_with(".attn.qkv.weight");
    let depth = file.shapes().filter(|(name, _)| is_block(name)).count();
    // S, B, L and XL; the number of heads does not show in the shapes.
    let num_heads = match hidden_size {
        384 => 6,
        768 => 12,
        1024 | 1152 => 16,
        _ => (hidden_size / 64).max(1),
    };
    Some(json!({
        "_class_name": "DiT",
        "input_size": tokens.isqrt() * patch_size,
        "patch_size": patch_size,
        "in_channels": in_channels,
        "hidden_size": hidden_size,
        "depth": depth,
        "num_heads": num_heads,
        "learn_sigma": rows == 2 * patch_size * patch_size * in_channels,
        "class_embeddings": classes,
    }))
}
