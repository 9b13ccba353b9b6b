//! PyTorch's own files (`.pth`, `.pt`, `.bin`, `.ckpt`), zip and older, whose pickles are read and never executed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use pytorch_reader::{DType, PickleValue, PytorchReader, Tensor};
use safetensors::tensor::{Dtype, View};

use crate::ModelsError;
use crate::weight_files::is_pytorch;
use crate::wrappers;

/// Prefixes of the types of plain data that may accompany weights.
const PLAIN_DATA: [&str; 5] =
    ["torch.", "numpy.", "collections.", "argparse.Namespace", "pathlib."];

/// The weights of a PyTorch file, read on demand.
pub struct PytorchFile {
    path: PathBuf,
    key: Option<String>,
    tensors: Vec<(String, Tensor)>,
    left_out: Vec<String>,
    other_entries: Vec<String>,
}

impl std::fmt::Debug for PytorchFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes: BTreeMap<&str, &[usize]> = self.shapes().collect();
        f.debug_struct("PytorchFile").field("path", &self.path).field("shapes", &shapes).finish()
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
            match tensor.dtype() {
                DType::F64 | DType::F32 | DType::F16 | DType::BF16 => all.push((name, tensor)),
                _ => left_out.push(name),
            }
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
        let inside = |(name, tensor): (String, Tensor)| {
            Some((wrappers::without_wrappers(name.strip_prefix(&*prefix)?), tensor))
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
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        // They are sorted.
        let place = self.tensors.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        Some(self.tensors[place].1.shape())
    }

    /// A safetensors file in memory with the same tensors, in f32.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, ModelsError> {
        Ok(written(&[self], |_| true, |views| safetensors::serialize(views, None))?.0)
    }

    fn problem(&self, problem: &impl ToString) -> ModelsError {
        ModelsError::Pytorch { path: self.path.clone(), problem: problem.to_string() }
    }
}

/// Writes the tensors of files that are kept to one safetensors file in f32, with one tensor in memory at a time, and
/// returns the names of those with values that are not finite.
///
/// # Errors
/// A file is damaged, two hold a tensor of one name, or the disk refuses.
pub(crate) fn write_safetensors(
    files: &[PytorchFile],
    out: &Path,
    is_kept: impl Fn(&str) -> bool,
) -> Result<Vec<String>, ModelsError> {
    let files: Vec<&PytorchFile> = files.iter().collect();
    // PyTorch's own tools look for this entry.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let ((), not_finite) = written(&files, is_kept, |views| {
        safetensors::serialize_to_file(views, Some(metadata), out)
    })?;
    Ok(not_finite)
}

/// What `write` returns, and the names of tensors with values that are not finite.
fn written<T>(
    files: &[&PytorchFile],
    is_kept: impl Fn(&str) -> bool,
    write: impl FnOnce(Vec<(&str, Lazy<'_>)>) -> Result<T, safetensors::SafeTensorError>,
) -> Result<(T, Vec<String>), ModelsError> {
    let (failure, not_finite) = (Mutex::new(None), Mutex::new(BTreeSet::new()));
    let tensors = files.iter().flat_map(|file| file.tensors.iter().map(move |entry| (file, entry)));
    let tensors = tensors.filter(|(_, (name, _))| is_kept(name));
    let views = tensors.map(|(file, (name, tensor))| {
        (name.as_str(), Lazy { file, name, tensor, failure: &failure, not_finite: &not_finite })
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

/// A tensor that is read when it is written.
struct Lazy<'a> {
    file: &'a PytorchFile,
    name: &'a str,
    tensor: &'a Tensor,
    /// The first failure of any tensor, since the format's writer has no way to report one.
    failure: &'a Mutex<Option<ModelsError>>,
    /// Names of tensors with values that are not finite.
    not_finite: &'a Mutex<BTreeSet<String>>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.tensor.read().unwrap_or_else(|error| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(self.file.problem(&format!("{}: {error}", self.name)));
            vec![0; self.tensor.byte_len()]
        });
        let numbers = singles(self.tensor.dtype(), &bytes);
        if numbers.iter().any(|number| !number.is_finite()) {
            let mut names = self.not_finite.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(self.name.to_owned());
        }
        Cow::Owned(numbers.into_iter().flat_map(f32::to_le_bytes).collect())
    }

    fn data_len(&self) -> usize {
        let bytes = self.tensor.byte_len();
        match self.tensor.dtype() {
            DType::F64 => bytes / 2,
            DType::F16 | DType::BF16 => bytes * 2,
            _ => bytes,
        }
    }
}

/// Floating-point numbers of any of the four types, in f32.
fn singles(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.as_chunks().0.iter().copied();
    match dtype {
        DType::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        DType::F16 => halves().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        DType::BF16 => halves().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    }
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
