//! Where tensors come from: a file in memory, files on a disk, or others under other names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::WeightsError;

/// A set of named tensors that are read one at a time, so that a large file need not be in memory.
pub trait TensorSource: Sync {
    /// The names of all tensors.
    fn names(&self) -> Vec<String>;

    /// Type and shape of a tensor, if it is there.
    fn layout(&self, name: &str) -> Option<TensorLayout>;

    /// The numbers of a tensor, little-endian and row by row.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError>;

    /// File and name under which a tensor is stored, for errors; of one that is not there, the file it should be in.
    fn origin(&self, name: &str) -> (String, String);
}

/// How a tensor is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLayout {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// A safetensors file in memory.
#[derive(Debug)]
pub struct SafetensorsBytes<'a> {
    file_name: &'a str,
    file: SafeTensors<'a>,
}

impl<'a> SafetensorsBytes<'a> {
    /// Reads the header; `file_name` is for errors only.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn open(file_name: &'a str, bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| WeightsError::Corrupt { file: file_name.to_owned(), error })?;
        Ok(Self { file_name, file })
    }
}

impl TensorSource for SafetensorsBytes<'_> {
    fn names(&self) -> Vec<String> {
        self.file.names().into_iter().map(str::to_owned).collect()
    }

    fn layout(&self, name: &str) -> Option<TensorLayout> {
        let view = self.file.tensor(name).ok()?;
        Some(TensorLayout { dtype: view.dtype(), shape: view.shape().to_vec() })
    }

    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let view = self.file.tensor(name).map_err(|_| missing(self, name))?;
        Ok(Cow::Borrowed(view.data()))
    }

    fn origin(&self, name: &str) -> (String, String) {
        (self.file_name.to_owned(), name.to_owned())
    }
}

/// The tensors of another source under other names, in other shapes, cut or put together along their first axis.
pub struct Renamed<'a> {
    source: &'a dyn TensorSource,
    tensors: BTreeMap<String, Entry>,
}

/// What a tensor of a [`Renamed`] is made of.
#[derive(Clone, Debug)]
struct Entry {
    parts: Vec<Part>,
    layout: TensorLayout,
}

/// Rows of a tensor of the source; all of them where there are no ranges.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    rows: Option<Vec<Range<usize>>>,
}

impl<'a> Renamed<'a> {
    /// Nothing yet.
    pub fn nothing(source: &'a dyn TensorSource) -> Self {
        Self { source, tensors: BTreeMap::new() }
    }

    /// Every tensor under the name that `rename` gives it; those without one are left out.
    pub fn new(source: &'a dyn TensorSource, rename: impl Fn(&str) -> Option<String>) -> Self {
        let mut renamed = Self::nothing(source);
        for name in source.names() {
            if let Some(new) = rename(&name) {
                renamed.take(new, &name);
            }
        }
        renamed
    }

    /// Takes a tensor as it is; without effect where the source lacks it.
    pub fn take(&mut self, new: impl Into<String>, name: &str) {
        if let Some(layout) = self.source.layout(name) {
            let part = Part { name: name.to_owned(), rows: None };
            self.tensors.insert(new.into(), Entry { parts: vec![part], layout });
        }
    }

    /// Gives a tensor another shape with as many numbers; without effect where it does not fit.
    pub fn reshape(&mut self, name: &str, shape: Vec<usize>) {
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        if let Some(entry) = self.tensors.get_mut(name)
            && count(&entry.layout.shape) == count(&shape)
        {
            entry.layout.shape = shape;
        }
    }

    /// Takes the ranges of rows of a tensor, in this order; without effect where the source lacks it or them.
    pub fn take_rows(&mut self, new: impl Into<String>, name: &str, rows: Vec<Range<usize>>) {
        let Some(mut layout) = self.source.layout(name) else { return };
        let Some(length) = layout.shape.first_mut() else { return };
        if rows.iter().any(|range| range.end > *length) {
            return;
        }
        *length = rows.iter().map(ExactSizeIterator::len).sum();
        let part = Part { name: name.to_owned(), rows: Some(rows) };
        self.tensors.insert(new.into(), Entry { parts: vec![part], layout });
    }

    /// Puts tensors of one type below each other; without effect where one is missing or does not fit the first.
    pub fn join(&mut self, new: impl Into<String>, names: &[String]) {
        let Some(layouts) =
            names.iter().map(|name| self.source.layout(name)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        let Some((first, others)) = layouts.split_first() else { return };
        let fits = |other: &TensorLayout| {
            other.dtype == first.dtype && other.shape.get(1..) == first.shape.get(1..)
        };
        if first.shape.is_empty() || !others.iter().all(fits) {
            return;
        }
        let mut layout = first.clone();
        layout.shape[0] = layouts.iter().map(|layout| layout.shape[0]).sum();
        let parts = names.iter().map(|name| Part { name: name.clone(), rows: None }).collect();
        self.tensors.insert(new.into(), Entry { parts, layout });
    }

    /// The tensors of the source that nothing is made of, sorted.
    pub fn left_out(&self) -> Vec<String> {
        let parts = self.tensors.values().flat_map(|entry| &entry.parts);
        let used: std::collections::BTreeSet<&str> = parts.map(|part| part.name.as_str()).collect();
        let mut names = self.source.names();
        names.retain(|name| !used.contains(name.as_str()));
        names.sort_unstable();
        names
    }
}

impl TensorSource for Renamed<'_> {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn layout(&self, name: &str) -> Option<TensorLayout> {
        self.tensors.get(name).map(|entry| entry.layout.clone())
    }

    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let entry = self.tensors.get(name).ok_or_else(|| missing(self, name))?;
        if let [Part { name, rows: None }] = entry.parts.as_slice() {
            return self.source.bytes(name);
        }
        let mut joined = Vec::new();
        for part in &entry.parts {
            let bytes = self.source.bytes(&part.name)?;
            let Some(rows) = &part.rows else {
                joined.extend_from_slice(&bytes);
                continue;
            };
            let total = self.source.layout(&part.name).map_or(0, |layout| layout.shape[0]);
            let row = bytes.len() / total.max(1);
            for range in rows {
                joined.extend_from_slice(&bytes[range.start * row..range.end * row]);
            }
        }
        Ok(Cow::Owned(joined))
    }

    fn origin(&self, name: &str) -> (String, String) {
        match self.tensors.get(name).and_then(|entry| entry.parts.first()) {
            Some(part) => self.source.origin(&part.name),
            None => self.source.origin(name),
        }
    }
}

/// The error for a tensor that is not there.
pub(super) fn missing(source: &dyn TensorSource, name: &str) -> WeightsError {
    let (file, tensor) = source.origin(name);
    WeightsError::Missing { file, tensor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    fn file(tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("fits"))
        });
        safetensors::serialize(views, None).expect("serialisable")
    }

    fn values(source: &dyn TensorSource, name: &str) -> Vec<f32> {
        let bytes = source.bytes(name).expect("there");
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    #[test]
    fn tensors_are_cut_joined_and_reshaped() {
        let bytes = file(&[
            ("a", vec![3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            ("b", vec![1, 2], vec![7.0, 8.0]),
            ("c", vec![1], vec![9.0]),
        ]);
        let source = SafetensorsBytes::open("w", &bytes).expect("whole");
        let mut renamed = Renamed::nothing(&source);
        renamed.take_rows("cut", "a", vec![2..3, 0..1]);
        renamed.join("both", &["b".to_owned(), "a".to_owned()]);
        renamed.join("unlike", &["b".to_owned(), "c".to_owned()]);
        renamed.take("flat", "a");
        renamed.reshape("flat", vec![6]);
        renamed.reshape("flat", vec![7]);
        assert_eq!(renamed.names(), ["both", "cut", "flat"]);
        assert_eq!(values(&renamed, "cut"), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(renamed.layout("both").expect("there").shape, [4, 2]);
        assert_eq!(values(&renamed, "both"), [7.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(renamed.layout("flat").expect("there").shape, [6]);
        assert_eq!(renamed.left_out(), ["c"]);
        assert_eq!(renamed.origin("both"), ("w".to_owned(), "b".to_owned()));
    }
}
