//! A safetensors file on disk, read tensor by tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use safetensors::SafeTensorError;
use safetensors::tensor::Metadata;
use stride::weights::{TensorLayout, WeightsError};

use crate::ModelsError;

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open file and its header.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: Mutex<File>,
    file_bytes: u64,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Place>,
}

/// Layout and position of a tensor.
#[derive(Debug)]
struct Place {
    layout: TensorLayout,
    start: u64,
    length: usize,
}

impl SafetensorsFile {
    /// Reads the header and checks that the file is as long as it says.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self, ModelsError> {
        let mut file = stride_files::open_file(path).map_err(ModelsError::io(path))?;
        let file_bytes = file.metadata().map_err(ModelsError::io(path))?.len();
        let corrupt = |error| WeightsError::Corrupt { file: path.display().to_string(), error };
        let mut length = [0; 8];
        if file_bytes < 8 {
            return Err(corrupt(SafeTensorError::HeaderTooSmall).into());
        }
        file.read_exact(&mut length).map_err(ModelsError::io(path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES || length > file_bytes - 8 {
            return Err(corrupt(SafeTensorError::InvalidHeaderLength).into());
        }
        let mut header = Vec::new();
        (&mut file).take(length).read_to_end(&mut header).map_err(ModelsError::io(path))?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| corrupt(SafeTensorError::InvalidHeaderDeserialization(error)))?;
        let expected = (8 + length).checked_add(header.data_len() as u64);
        if expected != Some(file_bytes) {
            return Err(corrupt(SafeTensorError::MetadataIncompleteBuffer).into());
        }
        let place = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            let (start, end) = info.data_offsets;
            let layout = TensorLayout { dtype: info.dtype, shape: info.shape.clone() };
            (name, Place { layout, start: 8 + length + start as u64, length: end - start })
        };
        let tensors = header.tensors().into_iter().map(place).collect();
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), file_bytes, metadata, tensors })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The metadata of its header.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Names and layouts of its tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorLayout)> {
        self.tensors.iter().map(|(name, place)| (name.as_str(), &place.layout))
    }

    /// Number of values in all tensors.
    pub fn parameters(&self) -> usize {
        self.tensors().map(|(_, layout)| layout.shape.iter().product::<usize>()).sum()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn layout(&self, name: &str) -> Option<&TensorLayout> {
        self.tensors.get(name).map(|place| &place.layout)
    }

    /// Reads one tensor; `None` if the file does not have it.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, WeightsError> {
        let Some(place) = self.tensors.get(name) else { return Ok(None) };
        let read = || {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(place.start))?;
            let mut bytes = vec![0; place.length];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let problem = |error| WeightsError::Read { file: self.path.display().to_string(), error };
        read().map(Some).map_err(problem)
    }
}
