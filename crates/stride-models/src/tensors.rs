//! The weights of a folder as one set of tensors, however many files they are in.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stride::weights::{TensorLayout, TensorSource, WeightsError};

use crate::safetensors_file::SafetensorsFile;
use crate::{ModelsError, WeightFiles};

/// Tensors that are read from their files one at a time: beside the module to fill, one tensor is in memory.
#[derive(Debug)]
pub struct FolderTensors {
    /// The file or index, for errors about missing tensors.
    place: PathBuf,
    files: Vec<SafetensorsFile>,
    /// The file of every tensor.
    file_of: BTreeMap<String, usize>,
}

impl FolderTensors {
    /// Opens the files and reads their headers.
    ///
    /// # Errors
    /// A file is damaged, or lacks a tensor that the index says it has.
    pub fn open(files: &WeightFiles) -> Result<Self, ModelsError> {
        match files {
            WeightFiles::Single(path) => Self::open_file(path),
            WeightFiles::Sharded { index, shard_of } => Self::open_shards(index, shard_of),
        }
    }

    /// Opens one safetensors file.
    ///
    /// # Errors
    /// It is damaged.
    pub fn open_file(path: &Path) -> Result<Self, ModelsError> {
        let file = SafetensorsFile::open(path)?;
        let file_of = file.names().map(|name| (name.to_owned(), 0)).collect();
        Ok(Self { place: path.to_owned(), files: vec![file], file_of })
    }

    fn open_shards(
        index: &Path,
        shard_of: &BTreeMap<String, PathBuf>,
    ) -> Result<Self, ModelsError> {
        let mut files: Vec<SafetensorsFile> = Vec::new();
        let mut file_of = BTreeMap::new();
        for (tensor, path) in shard_of {
            let place = match files.iter().position(|file| file.path() == path) {
                Some(place) => place,
                None => {
                    files.push(SafetensorsFile::open(path)?);
                    files.len() - 1
                }
            };
            if files[place].layout(tensor).is_none() {
                let entry = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                return Err(ModelsError::Shard {
                    path: index.to_owned(),
                    tensor: tensor.clone(),
                    entry,
                    problem:
                        "the file has no such tensor; index and shards are of different models"
                            .to_owned(),
                });
            }
            file_of.insert(tensor.clone(), place);
        }
        Ok(Self { place: index.to_owned(), files, file_of })
    }

    fn file(&self, name: &str) -> Option<&SafetensorsFile> {
        self.files.get(*self.file_of.get(name)?)
    }
}

impl TensorSource for FolderTensors {
    fn names(&self) -> Vec<String> {
        self.file_of.keys().cloned().collect()
    }

    fn layout(&self, name: &str) -> Option<TensorLayout> {
        self.file(name)?.layout(name).cloned()
    }

    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let bytes = self.file(name).map(|file| file.bytes(name)).transpose()?.flatten();
        bytes.map(Cow::Owned).ok_or_else(|| WeightsError::Missing {
            file: self.place.display().to_string(),
            tensor: name.to_owned(),
        })
    }

    fn origin(&self, name: &str) -> (String, String) {
        let path = self.file(name).map_or(self.place.as_path(), SafetensorsFile::path);
        (path.display().to_string(), name.to_owned())
    }
}
