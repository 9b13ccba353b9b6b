//! Finds the files of a folder that hold its weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component as PathPart, Path, PathBuf};

use serde::Deserialize;
use stride_files::ContentHash;

use crate::ModelsError;

/// Stems of weight files in folders of transformers and diffusers.
pub(crate) const STEMS: [&str; 2] = ["model", "diffusion_pytorch_model"];
/// The ending of a file that lists shards.
const INDEX: &str = "safetensors.index";
/// Endings of PyTorch's own files.
pub(crate) const PYTORCH: [&str; 4] = ["bin", "pth", "pt", "ckpt"];

/// The files of one set of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightFiles {
    /// One safetensors file.
    Single(PathBuf),
    /// Several, with an index.
    Sharded {
        /// The index.
        index: PathBuf,
        /// The file of every tensor.
        shard_of: BTreeMap<String, PathBuf>,
    },
}

/// The fields of an index that are used.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Finds the weights of a folder: `model.safetensors` or `diffusion_pytorch_model.safetensors`, else their shards
    /// by `*.safetensors.index.json`, else the same in the one variant there is (`model.fp16.safetensors`).
    ///
    /// # Errors
    /// There are none, only several variants, or only files in PyTorch's own format; or an index names a file outside
    /// the folder or a missing one.
    pub fn find(dir: &Path) -> Result<Self, ModelsError> {
        let names = file_names(dir)?;
        let mut variants = Vec::new();
        for name in &names {
            match plain_or_variant(name) {
                Some(None) => {}
                Some(Some(variant)) => variants.push((variant, name.clone())),
                None => continue,
            }
        }
        let plain = STEMS
            .iter()
            .flat_map(|stem| [format!("{stem}.safetensors"), format!("{stem}.{INDEX}.json")]);
        for name in plain {
            if names.contains(&name) {
                return Self::of(dir, &name);
            }
        }
        variants.sort_unstable();
        // A variant may have both a file and shards; the file is enough.
        let first = variants.first().map(|(variant, _)| variant.clone());
        if let Some(first) = first {
            let found = || variants.iter().map(|(_, name)| name.clone()).collect();
            if variants.iter().any(|(variant, _)| *variant != first) {
                return Err(ModelsError::SeveralVariants { path: dir.to_owned(), found: found() });
            }
            let is_single = |(_, name): &&(String, String)| name.ends_with(".safetensors");
            let name = variants.iter().find(is_single).unwrap_or(&variants[0]);
            return Self::of(dir, &name.1);
        }
        match names.iter().find(|name| is_pytorch(name)) {
            Some(name) => Err(ModelsError::Pickle { path: dir.join(name), import: dir.to_owned() }),
            None => Err(ModelsError::NoWeights { path: dir.to_owned() }),
        }
    }

    fn of(dir: &Path, name: &str) -> Result<Self, ModelsError> {
        let path = dir.join(name);
        if !name.ends_with(".json") {
            return Ok(Self::Single(path));
        }
        let shard_of = read_index(&path)?;
        Ok(Self::Sharded { index: path, shard_of })
    }

    /// Hash of the file, or of all shards one after the other.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn content_hash(&self) -> Result<ContentHash, ModelsError> {
        let paths = self.paths();
        let weights = match self {
            Self::Single(_) => paths.as_slice(),
            Self::Sharded { .. } => &paths[1..],
        };
        Ok(ContentHash::of_files(weights)?)
    }

    /// All files, the index first and the shards in the order of their names.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Single(path) => vec![path.clone()],
            Self::Sharded { index, shard_of } => {
                let mut shards: Vec<PathBuf> = shard_of.values().cloned().collect();
                shards.sort_unstable();
                shards.dedup();
                std::iter::once(index.clone()).chain(shards).collect()
            }
        }
    }
}

/// The shard of every tensor. A shard is a plain file beside its index: an index is untrusted input and must not name
/// other files of the machine.
pub(crate) fn read_index(index: &Path) -> Result<BTreeMap<String, PathBuf>, ModelsError> {
    let dir = index.parent().unwrap_or(Path::new(""));
    let bytes = stride_files::read_file(index).map_err(ModelsError::io(index))?;
    let entries: Index = serde_json::from_slice(&bytes).map_err(ModelsError::config(index))?;
    if entries.weight_map.is_empty() {
        return Err(ModelsError::config(index)(
            "weight_map is empty; expected the file of every tensor",
        ));
    }
    let checked = |(tensor, entry): (String, String)| {
        let problem = |problem: &str| ModelsError::Shard {
            path: index.to_owned(),
            tensor: tensor.clone(),
            entry: entry.clone(),
            problem: problem.to_owned(),
        };
        if !is_plain_name(&entry) {
            return Err(problem("expected the name of a file beside the index"));
        }
        let path = dir.join(&entry);
        if !path.exists() {
            return Err(problem("the file is missing; copy or download it, too"));
        }
        Ok((tensor, path))
    };
    entries.weight_map.into_iter().map(checked).collect()
}

/// Whether a string is a file name and not a path, on any system.
fn is_plain_name(entry: &str) -> bool {
    let mut parts = Path::new(entry).components();
    let is_one = matches!(parts.next(), Some(PathPart::Normal(name)) if name == entry);
    is_one && parts.next().is_none() && !entry.contains(['/', '\\', ':', '\0'])
}

/// For the name of weights, `Some` of its variant if it has one; `None` for other files.
fn plain_or_variant(name: &str) -> Option<Option<String>> {
    let rest = STEMS.iter().find_map(|stem| name.strip_prefix(stem)?.strip_prefix('.'))?;
    // `safetensors`, `fp16.safetensors`, `safetensors.index.json`, `safetensors.index.fp16.json`
    let variant = match rest.strip_prefix(INDEX) {
        Some(rest) => rest.strip_suffix(".json")?.strip_prefix('.'),
        None if rest == "safetensors" => None,
        None => Some(rest.strip_suffix(".safetensors")?),
    };
    // Single shards do not count: `fp16-00001-of-00002`, and older `00001-of-00002.fp16`.
    match variant {
        Some(variant) if variant.contains("-of-") => None,
        variant => Some(variant.map(str::to_owned)),
    }
}

/// Whether a file is in PyTorch's own format, by its ending.
pub(crate) fn is_pytorch(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).unwrap_or("");
    // Trainers store optimizers and arguments beside the weights.
    PYTORCH.contains(&ending)
        && !["optimizer", "scheduler", "training_args"].iter().any(|other| name.starts_with(other))
}

/// The names of what is no folder in a folder, sorted; pipes and devices are refused when they are opened.
pub(crate) fn file_names(dir: &Path) -> Result<Vec<String>, ModelsError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(ModelsError::io(dir))? {
        let entry = entry.map_err(ModelsError::io(dir))?;
        // The hub's cache consists of links, which `is_dir` follows.
        if let (false, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (name, expected) in [
            ("model.safetensors", Some(None)),
            ("diffusion_pytorch_model.safetensors", Some(None)),
            ("model.safetensors.index.json", Some(None)),
            ("model.fp16.safetensors", Some(Some("fp16"))),
            ("model.safetensors.index.fp16.json", Some(Some("fp16"))),
            ("model.fp16-00001-of-00002.safetensors", None),
            ("model-00001-of-00002.safetensors", None),
            ("other.safetensors", None),
            ("config.json", None),
        ] {
            let expected = expected.map(|variant| variant.map(str::to_owned));
            assert_eq!(plain_or_variant(name), expected, "{name}");
        }
    }

    #[test]
    fn paths_are_no_names() {
        assert!(is_plain_name("model-00001-of-00002.safetensors"));
        for path in ["", ".", "..", "../a", "a/b", "/a", "a/", "./a", "a\\b", "C:a", "a\0"] {
            assert!(!is_plain_name(path), "{path:?}");
        }
    }
}
