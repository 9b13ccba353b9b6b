//! Archives of arrays (`.npz`) in which the field exchanges statistics and samples.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write as _};
use std::path::{Path, PathBuf};

use nalgebra::{DMatrix, DVector};
use serde::Serialize;
use stride::image::RgbImage;
use zip::read::ZipFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::EvalError;
use crate::error::same;
use crate::statistics::Gaussian;

/// The most bytes of an unpacked array, that of a 16,384-wide covariance in f64; a small archive can claim any size.
const MAX_BYTES: u64 = 1 << 31;
/// The most pixels of an image in an archive.
const MAX_PIXELS: usize = 100_000_000;
/// The most arrays of an archive whose heads are read.
const MAX_ARRAYS: usize = 1000;
/// The longest head of an array; numpy writes some hundred bytes.
const MAX_HEADER: u32 = 1 << 16;
const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether a path names an archive of arrays rather than a folder.
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

/// An array of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArrayInfo {
    /// Its name, without `.npy`.
    pub name: String,
    /// Type of its numbers as numpy writes it, such as `<f8`.
    pub dtype: String,
    /// Its axes.
    pub shape: Vec<usize>,
}

/// The arrays of an archive, of which only the heads are read.
///
/// # Errors
/// The file cannot be read, is damaged, or has more arrays than anybody saves in one.
pub fn arrays(path: &Path) -> Result<Vec<ArrayInfo>, EvalError> {
    let file = path.display().to_string();
    let mut archive = open(&file, open_file(path)?)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.strip_suffix(".npy")?.to_owned()))
        .collect();
    if names.len() > MAX_ARRAYS {
        let text = format!("expected at most {MAX_ARRAYS} arrays, found {}", names.len());
        return Err(problem(&file, text));
    }
    let info = |name: String| {
        let mut entry = entry(&file, &mut archive, &name)?;
        let Header { descr, shape, .. } = Header::of_entry(&file, &name, &mut entry)?;
        Ok(ArrayInfo { name, dtype: descr, shape })
    };
    names.into_iter().map(info).collect()
}

/// Whether a path is an archive with `mu`, and not a folder or an archive of images.
///
/// # Errors
/// It is named `.npz`, and cannot be read or is no archive.
pub fn has_statistics(path: &Path) -> Result<bool, EvalError> {
    if !is_archive(path) {
        return Ok(false);
    }
    let archive = open(&path.display().to_string(), open_file(path)?)?;
    Ok(archive.index_for_name("mu.npy").is_some())
}

/// Reads `mu` and `sigma` as pytorch-fid, clean-fid and the ADM suite write them (f32 or f64).
///
/// # Errors
/// The file cannot be read, is damaged, lacks an array, has shapes that contradict each other or another
/// width than `width`, holds a value that is not finite, or a `sigma` that is no covariance.
pub fn read_statistics(path: &Path, width: Option<usize>) -> Result<Gaussian, EvalError> {
    let name = path.display().to_string();
    let mut archive = open(&name, open_file(path)?)?;
    // The shapes of both are checked before the numbers of either are read.
    let shape = |archive: &mut ZipArchive<BufReader<File>>, array: &str| {
        Ok::<_, EvalError>(
            Header::of_entry(&name, array, &mut entry(&name, archive, array)?)?.shape,
        )
    };
    let (mu, sigma) = (shape(&mut archive, "mu")?, shape(&mut archive, "sigma")?);
    let &[found] = mu.as_slice() else {
        return Err(problem(&name, format!("mu: expected one axis, found shape {mu:?}")));
    };
    if sigma != [found, found] || found == 0 {
        let text =
            format!("sigma: expected shape [{found}, {found}] as mu has it, found {sigma:?}");
        return Err(problem(&name, text));
    }
    if let Some(width) = width {
        same(&format!("{name}: width of the statistics"), width, found)?;
    }
    let mean = DVector::from_vec(numbers(&name, &mut archive, "mu")?);
    // Symmetric, so that the order of rows and columns in the file makes no difference.
    let covariance = DMatrix::from_vec(found, found, numbers(&name, &mut archive, "sigma")?);
    check_covariance(&name, &covariance)?;
    Ok(Gaussian { mean, covariance, count: None })
}

/// Refuses what no covariance can be: asymmetric, with a negative variance, or with a correlation beyond 1.
///
/// Rounding in the program that wrote it, in f32 too, passes.
fn check_covariance(file: &str, sigma: &DMatrix<f64>) -> Result<(), EvalError> {
    let variances = sigma.diagonal();
    let tolerance = 1e-5 * variances.amax();
    let refuse = |found: String| {
        Err(problem(file, format!("sigma: expected a covariance, found {found}; save it again")))
    };
    if let Some(i) = variances.iter().position(|&variance| variance < -tolerance) {
        return refuse(format!("the variance {} at [{i}, {i}]", variances[i]));
    }
    for (j, column) in sigma.column_iter().enumerate() {
        for i in 0..j {
            let (above, below) = (column[i], sigma[(j, i)]);
            if (above - below).abs() > tolerance {
                return refuse(format!("{above} at [{i}, {j}] and {below} at [{j}, {i}]"));
            }
            let bound = variances[i].max(0.0).sqrt() * variances[j].max(0.0).sqrt();
            if above.abs() > bound + tolerance {
                return refuse(format!(
                    "{above} at [{i}, {j}], and its variances allow {bound} at most"
                ));
            }
        }
    }
    Ok(())
}

/// The bytes of a file with `mu` and `sigma` (f64), as pytorch-fid saves them.
///
/// # Errors
/// The archive's writer refuses, which names no case of ours.
pub fn statistics_bytes(gaussian: &Gaussian) -> Result<Vec<u8>, EvalError> {
    let width = gaussian.mean.len();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let refused = |error: &dyn std::fmt::Display| problem("statistics", error.to_string());
    for (name, shape, values) in [
        ("mu.npy", format!("({width},)"), gaussian.mean.as_slice()),
        ("sigma.npy", format!("({width}, {width})"), gaussian.covariance.as_slice()),
    ] {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name, options).map_err(|error| refused(&error))?;
        let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        // Magic, version and length take ten bytes; numpy aligns the data to 64.
        let padding = 63 - (10 + header.len()) % 64;
        header.push_str(&" ".repeat(padding));
        header.push('\n');
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        writer.write_all(&bytes).map_err(|error| refused(&error))?;
    }
    Ok(writer.finish().map_err(|error| refused(&error))?.into_inner())
}

/// A batch of samples as the ADM suite exchanges them: an array `arr_0` of bytes, `[N, height, width, 3]`.
#[derive(Clone, Debug)]
pub struct SampleArchive {
    path: PathBuf,
    count: usize,
    height: usize,
    width: usize,
}

impl SampleArchive {
    /// Reads the head of the array.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has no such array.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let name = path.display().to_string();
        let mut archive = open(&name, open_file(path)?)?;
        let mut entry = entry(&name, &mut archive, "arr_0")?;
        let header = Header::of_entry(&name, "arr_0", &mut entry)?;
        let (descr, shape) = (header.descr.as_str(), header.shape.as_slice());
        let ("|u1", &[count, height, width, 3]) = (descr, shape) else {
            let expected = "bytes |u1 of shape [N, height, width, 3]";
            let text = format!("arr_0: expected {expected}, found {descr} {shape:?}");
            return Err(problem(&name, text));
        };
        if header.is_fortran {
            let text = "arr_0: expected the order of C, found that of Fortran; save numpy.ascontiguousarray of it";
            return Err(problem(&name, text));
        }
        let pixels = height.checked_mul(width).filter(|pixels| (1..=MAX_PIXELS).contains(pixels));
        if pixels.is_none() {
            let text = format!(
                "arr_0: expected images of 1 to {MAX_PIXELS} pixels, found {height}x{width}"
            );
            return Err(problem(&name, text));
        }
        header.check_bytes(&name, "arr_0", 1, &entry)?;
        Ok(Self { path: path.to_owned(), count, height, width })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Reads the first `count` images one after the other.
    ///
    /// # Errors
    /// The array ends early or is damaged; or `each` fails.
    pub fn for_each(
        &self,
        count: usize,
        mut each: impl FnMut(RgbImage) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let name = self.path.display().to_string();
        let mut archive = open(&name, open_file(&self.path)?)?;
        let mut entry = entry(&name, &mut archive, "arr_0")?;
        Header::of_entry(&name, "arr_0", &mut entry)?;
        for index in 0..count.min(self.count) {
            let mut pixels = vec![0; self.height * self.width * 3];
            entry.read_exact(&mut pixels).map_err(|error| {
                problem(
                    &name,
                    format!(
                        "arr_0: image {index} of {}: {error}; copy or make it again",
                        self.count
                    ),
                )
            })?;
            each(RgbImage { width: self.width, height: self.height, pixels })?;
        }
        if count < self.count {
            return Ok(());
        }
        // The checksum is compared at the end of the entry.
        entry.read(&mut [0]).map_err(|error| {
            problem(&name, format!("arr_0: damaged ({error}); copy or make it again"))
        })?;
        Ok(())
    }
}

/// Type and axes of an array, and where it lies in its entry.
struct Header {
    descr: String,
    shape: Vec<usize>,
    is_fortran: bool,
    /// Bytes before the numbers.
    length: u64,
}

/// The numbers of an array, all finite.
fn numbers(
    file: &str,
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
) -> Result<Vec<f64>, EvalError> {
    let mut entry = entry(file, archive, name)?;
    let header = Header::of_entry(file, name, &mut entry)?;
    let size = match header.descr.as_str() {
        "<f8" => 8,
        "<f4" => 4,
        other => {
            let text = format!("{name}: expected numbers <f4 or <f8, found {other}");
            return Err(problem(file, text));
        }
    };
    let bytes = header.check_bytes(file, name, size, &entry)?;
    if bytes > MAX_BYTES {
        let text = format!("{name}: expected at most {MAX_BYTES} bytes, found {bytes}");
        return Err(problem(file, text));
    }
    let mut data = Vec::new();
    // The checksum is compared at the end of the entry, so one byte more is asked for.
    entry.take(bytes + 1).read_to_end(&mut data).map_err(|error| {
        problem(file, format!("{name}: damaged ({error}); copy or make it again"))
    })?;
    if data.len() as u64 != bytes {
        let text =
            format!("{name}: expected {bytes} bytes, found {}; copy or make it again", data.len());
        return Err(problem(file, text));
    }
    let values: Vec<f64> = match size {
        8 => chunks(&data).map(f64::from_le_bytes).collect(),
        _ => chunks(&data).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(EvalError::NotFinite {
            what: format!("{file}: {name}"),
            index,
            value: values[index],
        }),
        None => Ok(values),
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|chunk| std::array::from_fn(|i| chunk[i]))
}

fn open_file(path: &Path) -> Result<BufReader<File>, EvalError> {
    Ok(BufReader::new(stride_files::open_file(path).map_err(EvalError::io(path))?))
}

fn open<R: Read + Seek>(file: &str, reader: R) -> Result<ZipArchive<R>, EvalError> {
    ZipArchive::new(reader).map_err(|error| {
        problem(file, format!("not a complete .npz archive ({error}); copy or make it again"))
    })
}

/// The bytes of one array of an archive.
fn entry<'a, R: Read + Seek>(
    file: &str,
    archive: &'a mut ZipArchive<R>,
    name: &str,
) -> Result<ZipFile<'a, R>, EvalError> {
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let names: Vec<String> = names.collect();
    archive.by_name(&format!("{name}.npy")).map_err(|error| {
        problem(file, format!("expected an array {name}, found {names:?} ({error})"))
    })
}

impl Header {
    /// The head of an array of an archive; what follows are its numbers.
    fn of_entry(file: &str, name: &str, reader: &mut impl Read) -> Result<Self, EvalError> {
        Self::read(reader)
            .ok_or_else(|| problem(file, format!("{name}: not an array in numpy's format")))
    }

    fn read(reader: &mut impl Read) -> Option<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).ok()?;
        let version = start.strip_prefix(MAGIC)?[0];
        let mut length = [0; 4];
        let length_bytes = if version == 1 { 2 } else { 4 };
        reader.read_exact(&mut length[..length_bytes]).ok()?;
        let length = u32::from_le_bytes(length).min(MAX_HEADER);
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).ok()?;
        let header = std::str::from_utf8(&header).ok()?;
        let after =
            |key: &str| header.split_once(&format!("'{key}':")).map(|(_, text)| text.trim_start());
        let descr = after("descr")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
        let order = after("fortran_order")?;
        let is_fortran = order.starts_with("True");
        if !is_fortran && !order.starts_with("False") {
            return None;
        }
        let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
        let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape = axes.map(|axis| axis.parse().ok()).collect::<Option<Vec<usize>>>()?;
        let length = (start.len() + length_bytes) as u64 + u64::from(length);
        Some(Self { descr, shape, is_fortran, length })
    }

    /// The bytes of the numbers, of which each takes `size`; fails where the entry declares another length.
    fn check_bytes<R: Read>(
        &self,
        file: &str,
        name: &str,
        size: u64,
        entry: &ZipFile<'_, R>,
    ) -> Result<u64, EvalError> {
        let axes = || self.shape.iter().map(|&axis| axis as u64);
        let expected = axes().try_fold(size, u64::checked_mul);
        match expected {
            Some(bytes) if bytes.checked_add(self.length) == Some(entry.size()) => Ok(bytes),
            _ => {
                let expected = expected.map_or("more than 2^64".to_owned(), |n| n.to_string());
                let found = entry.size().saturating_sub(self.length);
                let text = format!(
                    "{name}: expected {expected} bytes for shape {:?}, found {found}; copy or make it again",
                    self.shape
                );
                Err(problem(file, text))
            }
        }
    }
}

fn problem(path: &str, problem: impl Into<String>) -> EvalError {
    EvalError::Format { path: path.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn gaussian() -> Gaussian {
        let covariance = DMatrix::from_row_slice(2, 2, &[2.0, 0.5, 0.5, 1.0]);
        Gaussian { mean: DVector::from_row_slice(&[1.0, -3.0]), covariance, count: None }
    }

    fn read(bytes: &[u8], width: Option<usize>) -> Result<Gaussian, EvalError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("s.npz");
        fs::write(&path, bytes).expect("writable");
        read_statistics(&path, width)
    }

    #[test]
    fn a_round_trip_changes_nothing() {
        let bytes = statistics_bytes(&gaussian()).expect("writable");
        assert_eq!(read(&bytes, Some(2)).expect("readable"), gaussian());
    }

    #[test]
    fn damage_other_widths_and_nan_are_refused_by_name() {
        let good = statistics_bytes(&gaussian()).expect("writable");
        let message = |bytes: &[u8], width| read(bytes, width).expect_err("refused").to_string();
        for end in 0..good.len() {
            let text = message(&good[..end], None);
            assert!(text.contains("s.npz"), "{end}: {text}");
        }
        let text = message(&good, Some(2048));
        assert!(text.contains("expected 2048, found 2"), "{text}");
        let mut nan = gaussian();
        nan.covariance[(1, 1)] = f64::NAN;
        let text = message(&statistics_bytes(&nan).expect("writable"), None);
        assert!(text.contains("sigma: value 3 is NaN"), "{text}");
    }

    /// An archive with `mu` of zeros and a `sigma`, whose head has this order and shape.
    fn with_sigma(order: &str, shape: &str, values: &[f64]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, order, shape, values) in
            [("mu.npy", "False", "(2,)", &[0.0, 0.0][..]), ("sigma.npy", order, shape, values)]
        {
            writer.start_file(name, SimpleFileOptions::default()).expect("writable");
            let header =
                format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': {shape}, }}\n");
            let length = (header.len() as u16).to_le_bytes();
            let values = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
            let bytes = [MAGIC, &[1, 0], &length, header.as_bytes(), &values].concat();
            writer.write_all(&bytes).expect("writable");
        }
        writer.finish().expect("writable").into_inner()
    }

    #[test]
    fn the_order_of_fortran_is_read() {
        let bytes = with_sigma("True", "(2, 2)", &[2.0, 0.5, 0.5, 1.0]);
        assert_eq!(read(&bytes, Some(2)).expect("readable").covariance, gaussian().covariance);
    }

    #[test]
    fn what_no_covariance_can_be_is_refused() {
        for (values, expected) in [
            ([2.0, 0.5, -0.5, 1.0], "0.5 at [0, 1] and"),
            ([2.0, 0.0, 0.0, -1.0], "the variance -1 at [1, 1]"),
            ([-2.0, 0.0, 0.0, -1.0], "the variance -2 at [0, 0]"),
            ([1.0, 5.0, 5.0, 1.0], "5 at [0, 1], and its variances allow 1 at most"),
        ] {
            let text = read(&with_sigma("False", "(2, 2)", &values), Some(2)).expect_err("refused");
            let text = text.to_string();
            assert!(
                text.contains("sigma: expected a covariance") && text.contains(expected),
                "{text}"
            );
        }
        // Rounding is none of these, nor are features that never vary.
        for values in [[2.0, 0.5, 0.5 + 1e-7, 1.0], [2.0, 1e-9, 1e-9, -1e-9], [0.0; 4]] {
            read(&with_sigma("False", "(2, 2)", &values), Some(2)).expect("a covariance");
        }
    }

    #[test]
    fn shapes_that_the_file_does_not_hold_are_refused_before_they_are_read() {
        let values = [2.0, 0.5, 0.5, 1.0];
        let huge = format!("({0}, {0})", u64::MAX / 2);
        for (shape, width, expected) in [
            ("(2, 2)", 2, "expected 32 bytes for shape [2, 2], found 24"),
            ("(3, 3)", 2, "expected shape [2, 2]"),
            (huge.as_str(), 2, "expected shape [2, 2]"),
        ] {
            let text = read(&with_sigma("False", shape, &values[..3]), Some(width));
            let text = text.expect_err("refused").to_string();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn samples_that_the_file_does_not_hold_are_refused_before_they_are_read() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("samples.npz");
        for (order, shape, expected) in [
            ("False", "(2, 100000, 100000, 3)", "found 100000x100000"),
            ("False", "(2, 4294967296, 4294967296, 3)", "1 to 100000000 pixels"),
            ("False", "(9000000000000000000, 10, 10, 3)", "expected more than 2^64 bytes"),
            ("False", "(33333334, 16, 16, 3)", "expected 25600000512 bytes"),
            ("False", "(2, 0, 16, 3)", "found 0x16"),
            ("True", "(1, 1, 1, 3)", "the order of C"),
        ] {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            writer.start_file("arr_0.npy", SimpleFileOptions::default()).expect("writable");
            let header =
                format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': {shape}, }}\n");
            let length = (header.len() as u16).to_le_bytes();
            let bytes = [MAGIC, &[1, 0], &length, header.as_bytes(), &[0; 3]].concat();
            writer.write_all(&bytes).expect("writable");
            fs::write(&path, writer.finish().expect("writable").into_inner()).expect("writable");
            let text = SampleArchive::open(&path).expect_err("refused").to_string();
            assert!(text.contains("samples.npz: arr_0") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("samples.npz");
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file("arr_0.npy", options).expect("writable");
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 4, 3), }\n";
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [MAGIC, &[1, 0], &length, header.as_bytes(), &[77; 96]].concat();
        writer.write_all(&bytes).expect("writable");
        let mut bytes = writer.finish().expect("writable").into_inner();
        let place = bytes.windows(8).position(|window| window == [77; 8]).expect("the pixels");
        bytes[place + 20] ^= 1;
        fs::write(&path, bytes).expect("writable");
        let archive = SampleArchive::open(&path).expect("a whole head");
        let text = archive.for_each(2, |_| Ok(())).expect_err("damaged").to_string();
        assert!(text.contains("samples.npz: arr_0: damaged"), "{text}");
    }
}
