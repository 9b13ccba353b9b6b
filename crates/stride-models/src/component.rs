//! A component on disk: its folder, configuration and weights.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stride::pipeline::MODEL_INDEX;

use crate::hub;
use crate::role::CONFIG;
use crate::{FolderTensors, ModelsError, Role, WeightFiles};

/// A folder with a network, alone or inside a pipeline.
#[derive(Clone, Debug)]
pub struct Component {
    role: Role,
    root: PathBuf,
    dir: PathBuf,
}

impl Component {
    /// Finds the component for a role: `path` itself where it has `config.json`, the folder of the role where it is a
    /// pipeline with `model_index.json`. A path such as `openai/clip-vit-base-patch32` that does not exist is an id on
    /// the hub, if the program is built with the feature `hub`.
    ///
    /// # Errors
    /// There is no such folder, or it is neither; or the pipeline has no such component.
    pub fn open(path: &Path, role: Role) -> Result<Self, ModelsError> {
        let no_folder =
            |found| ModelsError::NoFolder { path: path.to_owned(), what: role.name(), found };
        if !path.exists() {
            return match hub::id_of(path) {
                Some(id) => Self::open(&hub::folder(id, role)?, role),
                None => Err(no_folder("nothing there")),
            };
        }
        if !path.is_dir() {
            return Err(no_folder("a file"));
        }
        let index = path.join(MODEL_INDEX);
        if index.exists() {
            return Self::in_pipeline(path, &index, role);
        }
        let is_alone = path.join(CONFIG).exists() || role == Role::Tokenizer;
        if is_alone {
            Ok(Self { role, root: path.to_owned(), dir: path.to_owned() })
        } else {
            Err(ModelsError::NotAComponent { path: path.to_owned() })
        }
    }

    fn in_pipeline(path: &Path, index: &Path, role: Role) -> Result<Self, ModelsError> {
        let components = components_of(index)?;
        let dir = path.join(role.folder());
        let is_listed = components.iter().any(|name| name == role.folder());
        if !is_listed {
            return Err(ModelsError::NoRole {
                path: index.to_owned(),
                role: role.folder(),
                found: components,
            });
        }
        if !dir.is_dir() {
            return Err(ModelsError::NoFolder {
                path: dir,
                what: role.name(),
                found: "nothing there, though model_index.json lists it",
            });
        }
        Ok(Self { role, root: path.to_owned(), dir })
    }

    /// The pipeline it belongs to; its own folder if it stands alone.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder with its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The path of its configuration.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join(CONFIG)
    }

    /// The bytes of its `config.json`, after checking that its class is supported.
    ///
    /// # Errors
    /// The file cannot be read, is not a JSON object, or names a class of another kind.
    pub fn config(&self) -> Result<Vec<u8>, ModelsError> {
        let path = self.config_path();
        let bytes = stride_files::read_file(&path).map_err(ModelsError::io(&path))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(ModelsError::config(&path))?;
        if !value.is_object() {
            return Err(ModelsError::config(&path)("expected an object with fields"));
        }
        let expected = self.role.classes();
        match class_of(&value) {
            Some(found) if !expected.is_empty() && !expected.contains(&found.as_str()) => {
                Err(ModelsError::Class { path, what: self.role.name(), expected, found })
            }
            _ => Ok(bytes),
        }
    }

    /// The files of its weights.
    ///
    /// # Errors
    /// As [`WeightFiles::find`].
    pub fn weight_files(&self) -> Result<WeightFiles, ModelsError> {
        WeightFiles::find(&self.dir)
    }

    /// Its weights, read tensor by tensor.
    ///
    /// # Errors
    /// As [`WeightFiles::find`] and [`FolderTensors::open`].
    pub fn tensors(&self) -> Result<FolderTensors, ModelsError> {
        FolderTensors::open(&self.weight_files()?)
    }

    /// Every file that determines what it computes: configuration, index, weights.
    ///
    /// # Errors
    /// As [`WeightFiles::find`].
    pub fn files(&self) -> Result<Vec<PathBuf>, ModelsError> {
        let mut files = vec![self.config_path()];
        files.extend(self.weight_files()?.paths());
        Ok(files)
    }
}

/// The class that a configuration names, in the way of diffusers or of transformers.
pub(crate) fn class_of(config: &Value) -> Option<String> {
    let class = config.get("_class_name").or_else(|| config.get("architectures")?.get(0));
    class.and_then(Value::as_str).map(str::to_owned)
}

/// The components that an index lists, sorted, without those that are switched off (`[null, null]`).
pub(crate) fn components_of(index: &Path) -> Result<Vec<String>, ModelsError> {
    let bytes = stride_files::read_file(index).map_err(ModelsError::io(index))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(ModelsError::config(index))?;
    let Value::Object(fields) = value else {
        return Err(ModelsError::config(index)("expected an object with one entry a component"));
    };
    let is_component = |value: &Value| {
        value.as_array().is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_string))
    };
    let mut names: Vec<String> = fields
        .into_iter()
        .filter(|(name, value)| !name.starts_with('_') && is_component(value))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(feature = "hub"))]
    fn without_the_feature_an_id_says_how_to_get_it() {
        let error = Component::open(Path::new("openai/clip-vit-base-patch32"), Role::TextEncoder);
        let text = error.expect_err("no such folder").to_string();
        assert!(text.contains("--features hub") && text.contains("openai/clip"), "{text}");
    }
}
