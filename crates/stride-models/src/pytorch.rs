//! PyTorch's own files (`.pth`, `.pt`, `.bin`, `.ckpt`), zip and older, whose pickles are read and never executed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pytorch_reader::{DType, PickleValue, PytorchReader, Tensor};
use safetensors::tensor::{Dtype, View};

use crate::ModelsError;
use crate::weight_files::is_pytorch;
use crate::wrappers;

/// Prefixes of the types of plain data that may accompany weights.
const PLAIN_DATA: [&str; 5] =
    ["torch.", "numpy.", "collections.", "argparse.Namespace", "pathlib."];

/// The weights of a PyTorch file, read on demand.
#[derive(Debug)]
pub struct PytorchFile {
    path: PathBuf,
    key: Option<String>,
    tensors: Vec<(String, Weight)>,
    left_out: Vec<String>,
    other_entries: Vec<String>,
}

/// A tensor and its type in safetensors: its own, but for numbers of 64 bits, which become 32.
struct Weight {
    dtype: Dtype,
    tensor: Tensor,
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.tensor.shape())
    }
}

impl PytorchFile {
    /// Whether a file is one, by its ending.
    pub fn is_one(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| is_pytorch(&name.to_ascii_lowercase()))
    }

    /// Reads names and shapes. Of a trainer's checkpoint, its averaged weights are taken, else its weights; what
    /// wrappers put before names is taken away.
    ///
    /// # Errors
    /// The file is damaged, has no floating-point tensor, or holds objects that only code can make.
    pub fn open(path: &Path) -> Result<Self, ModelsError> {
        Self::open_entry(path, None, true)
    }

    /// The same for the entry `key` of a checkpoint, its names parted by dots, and for files that hold only a part of
    /// a network (`is_alone` is false).
    ///
    /// # Errors
    /// As [`open`](Self::open); or there is no such entry with weights.
    pub fn open_entry(path: &Path, key: Option<&str>, is_alone: bool) -> Result<Self, ModelsError> {
        stride_files::open_file(path).map_err(ModelsError::io(path))?;
        let problem = |problem: String| ModelsError::Pytorch { path: path.to_owned(), problem };
        let unreadable = |error: pytorch_reader::PytorchError| problem(error.to_string());
        let contents = PytorchReader::read_pickle_data(path, None).map_err(unreadable)?;
        if let Some(found) = foreign_type(&contents) {
            return Err(problem(format!(
                "it holds a {found}, which only running its code could make; nothing was run, and nothing is imported"
            )));
        }
        let reader = PytorchReader::new(path).map_err(unreadable)?;
        let (mut all, mut left_out) = (Vec::new(), Vec::new());
        for (name, tensor) in reader.into_tensors() {
            let dtype = match tensor.dtype() {
                DType::F32 | DType::F64 => Dtype::F32,
                DType::F16 => Dtype::F16,
                DType::BF16 => Dtype::BF16,
                _ => {
                    left_out.push(name);
                    continue;
                }
            };
            all.push((name, Weight { dtype, tensor }));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let wrappers::Place { prefix, key } = match key {
            None => wrappers::find(&contents, &names, is_alone),
            Some(key) => wrappers::named(key, &contents, &names, is_alone).ok_or_else(|| {
                let found = wrappers::entries(names.iter().copied()).join(", ");
                problem(format!("expected weights in the entry {key}, found entries {found}"))
            })?,
        };
        let is_outside = |name: &&str| !name.starts_with(&prefix);
        let other_entries = wrappers::entries(names.iter().copied().filter(is_outside));
        let inside = |(name, weight): (String, Weight)| {
            Some((wrappers::without_wrappers(name.strip_prefix(&*prefix)?), weight))
        };
        let mut tensors: Vec<_> = all.into_iter().filter_map(inside).collect();
        if tensors.is_empty() {
            return Err(problem("it holds no floating-point tensor".to_owned()));
        }
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let of_weights = |name: String| name.strip_prefix(&*prefix).map(wrappers::without_wrappers);
        let mut left_out: Vec<String> = left_out.into_iter().filter_map(of_weights).collect();
        left_out.sort_unstable();
        Ok(Self { path: path.to_owned(), key, tensors, left_out, other_entries })
    }

    /// The entry of a trainer's checkpoint that was taken.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Further entries with tensors, which were not taken.
    pub fn other_entries(&self) -> &[String] {
        &self.other_entries
    }

    /// Integer tensors, such as counters, which are not weights.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Names and shapes, sorted.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, weight)| (name.as_str(), weight.tensor.shape()))
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes().find(|(other, _)| *other == name).map(|(_, shape)| shape)
    }

    /// A safetensors file in memory with the same tensors.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, ModelsError> {
        Ok(written(&[self], |views| safetensors::serialize(views, None))?.0)
    }

    fn problem(&self, problem: &impl ToString) -> ModelsError {
        ModelsError::Pytorch { path: self.path.clone(), problem: problem.to_string() }
    }
}

/// Writes the tensors of files to one safetensors file, with one tensor in memory at a time, and returns the names of
/// those with values that are not finite.
///
/// # Errors
/// A file is damaged, two hold a tensor of one name, or the disk refuses.
pub(crate) fn write_safetensors(
    files: &[PytorchFile],
    out: &Path,
) -> Result<Vec<String>, ModelsError> {
    let files: Vec<&PytorchFile> = files.iter().collect();
    // PyTorch's own tools look for this entry.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let ((), not_finite) =
        written(&files, |views| safetensors::serialize_to_file(views, Some(metadata), out))?;
    Ok(not_finite)
}

/// What `write` returns, and the names of tensors with values that are not finite.
fn written<T>(
    files: &[&PytorchFile],
    write: impl FnOnce(Vec<(&str, Lazy<'_>)>) -> Result<T, safetensors::SafeTensorError>,
) -> Result<(T, Vec<String>), ModelsError> {
    let (failure, not_finite) = (Mutex::new(None), Mutex::new(BTreeSet::new()));
    let tensors = files.iter().flat_map(|file| file.tensors.iter().map(move |entry| (file, entry)));
    let views = tensors.map(|(file, (name, weight))| {
        (name.as_str(), Lazy { file, name, weight, failure: &failure, not_finite: &not_finite })
    });
    let views: Vec<_> = views.collect();
    let mut names: Vec<&str> = views.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(files[0].problem(&format!("tensor {} is there twice", pair[0])));
    }
    let result = write(views).map_err(|error| files[0].problem(&error));
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => {
            let names = not_finite.into_inner().unwrap_or_else(PoisonError::into_inner);
            Ok((result?, names.into_iter().collect()))
        }
    }
}

/// Whether every number is finite, in one of the three dtypes of weights.
fn is_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    // All bits of the exponent are set in infinities and NaN, and in nothing else.
    let mut halves = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        Dtype::F16 => halves.all(|bits| bits & 0x7c00 != 0x7c00),
        Dtype::BF16 => halves.all(|bits| bits & 0x7f80 != 0x7f80),
        _ => {
            bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite())
        }
    }
}

/// A tensor that is read when it is written.
struct Lazy<'a> {
    file: &'a PytorchFile,
    name: &'a str,
    weight: &'a Weight,
    /// The first failure of any tensor, since the format's writer has no way to report one.
    failure: &'a Mutex<Option<ModelsError>>,
    /// Names of tensors with values that are not finite.
    not_finite: &'a Mutex<BTreeSet<String>>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        self.weight.dtype
    }

    fn shape(&self) -> &[usize] {
        self.weight.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.weight.tensor.read().unwrap_or_else(|error| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(self.file.problem(&format!("{}: {error}", self.name)));
            vec![0; self.weight.tensor.byte_len()]
        });
        let bytes = match self.weight.tensor.dtype() {
            DType::F64 => narrowed(&bytes),
            _ => bytes,
        };
        if !is_finite(self.weight.dtype, &bytes) {
            let mut names = self.not_finite.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(self.name.to_owned());
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        match self.weight.tensor.dtype() {
            DType::F64 => self.weight.tensor.byte_len() / 2,
            _ => self.weight.tensor.byte_len(),
        }
    }
}

/// Numbers of 64 bits as numbers of 32.
fn narrowed(bytes: &[u8]) -> Vec<u8> {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().flat_map(|&bytes| (f64::from_le_bytes(bytes) as f32).to_le_bytes()).collect()
}

/// The first type that is neither a tensor nor plain data.
fn foreign_type(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(name) => {
            let is_plain = PLAIN_DATA.iter().any(|start| name.starts_with(start))
                // Integers of more than 64 bits.
                || matches!(name.as_str(), "int" | "builtins.int" | "datetime.datetime");
            (!is_plain).then_some(name)
        }
        PickleValue::List(values) => values.iter().find_map(foreign_type),
        PickleValue::Dict(entries) => {
            let mut found: Vec<&str> = entries.values().filter_map(foreign_type).collect();
            found.sort_unstable();
            found.first().copied()
        }
        _ => None,
    }
}
