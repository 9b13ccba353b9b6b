//! Archives of arrays (`.npz`) in which the field exchanges statistics and samples.

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read, Seek, Write as _};
use std::path::{Path, PathBuf};

use nalgebra::{DMatrix, DVector};
use stride::image::RgbImage;
use zip::read::ZipFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::EvalError;
use crate::error::same;
use crate::statistics::Gaussian;

/// The most bytes of an unpacked array, that of a 16,384-wide covariance in f64; a small archive can claim any size.
const MAX_BYTES: u64 = 1 << 31;
/// The longest head of an array; numpy writes some hundred bytes.
const MAX_HEADER: u32 = 1 << 16;
const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether a path names an archive of arrays rather than a folder.
pub fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
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
/// width than `width`, or holds a value that is not finite.
pub fn read_statistics(path: &Path, width: Option<usize>) -> Result<Gaussian, EvalError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(EvalError::io(path))?;
    let mut archive = open(&name, Cursor::new(bytes.as_slice()))?;
    let mu = array(&name, &mut archive, "mu")?;
    let sigma = array(&name, &mut archive, "sigma")?;
    let &[found] = mu.header.shape.as_slice() else {
        return Err(problem(
            &name,
            format!("mu: expected one axis, found shape {:?}", mu.header.shape),
        ));
    };
    if sigma.header.shape != [found, found] || found == 0 {
        let text = format!(
            "sigma: expected shape [{found}, {found}] as mu has it, found {:?}",
            sigma.header.shape
        );
        return Err(problem(&name, text));
    }
    if let Some(width) = width {
        same(&format!("{name}: width of the statistics"), width, found)?;
    }
    let (mu, sigma) = (mu.numbers(&name, "mu")?, sigma.numbers(&name, "sigma")?);
    Ok(Gaussian {
        mean: DVector::from_vec(mu),
        // Symmetric, so that rows and columns are the same.
        covariance: DMatrix::from_vec(found, found, sigma),
        count: None,
    })
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
        let header = Header::read(&mut entry(&name, &mut archive, "arr_0")?)
            .ok_or_else(|| problem(&name, "arr_0: not an array in numpy's format"))?;
        match (header.descr.as_str(), header.shape.as_slice()) {
            ("|u1", &[count, height, width, 3]) if height * width > 0 => {
                Ok(Self { path: path.to_owned(), count, height, width })
            }
            (descr, shape) => Err(problem(
                &name,
                format!(
                    "arr_0: expected bytes |u1 of shape [N, height, width, 3], found {descr} {shape:?}"
                ),
            )),
        }
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
        Header::read(&mut entry)
            .ok_or_else(|| problem(&name, "arr_0: not an array in numpy's format"))?;
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
        Ok(())
    }
}

/// Type and axes of an array.
struct Header {
    descr: String,
    shape: Vec<usize>,
}

/// An array as it lies in the file.
struct Array {
    header: Header,
    data: Vec<u8>,
}

impl Array {
    fn numbers(&self, file: &str, name: &str) -> Result<Vec<f64>, EvalError> {
        let values: Vec<f64> = match self.header.descr.as_str() {
            "<f8" => chunks(&self.data).map(f64::from_le_bytes).collect(),
            "<f4" => chunks(&self.data).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            other => {
                return Err(problem(
                    file,
                    format!("{name}: expected numbers <f4 or <f8, found {other}"),
                ));
            }
        };
        let expected = self.header.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if expected != Some(values.len()) {
            let text = format!(
                "{name}: shape {:?} needs other than {} values",
                self.header.shape,
                values.len()
            );
            return Err(problem(file, text));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(EvalError::NotFinite {
                what: format!("{file}: {name}"),
                index,
                value: values[index],
            }),
            None => Ok(values),
        }
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|chunk| std::array::from_fn(|i| chunk[i]))
}

fn open_file(path: &Path) -> Result<BufReader<File>, EvalError> {
    Ok(BufReader::new(File::open(path).map_err(EvalError::io(path))?))
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

fn array(
    file: &str,
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
) -> Result<Array, EvalError> {
    let mut entry = entry(file, archive, name)?;
    let header = Header::read(&mut entry)
        .ok_or_else(|| problem(file, format!("{name}: not an array in numpy's format")))?;
    let mut data = Vec::new();
    // One byte more than allowed tells a full array from a cut one.
    entry.take(MAX_BYTES + 1).read_to_end(&mut data).map_err(|error| {
        problem(file, format!("{name}: damaged ({error}); copy or make it again"))
    })?;
    if data.len() as u64 > MAX_BYTES {
        return Err(problem(file, format!("{name}: more than {MAX_BYTES} bytes")));
    }
    Ok(Array { header, data })
}

impl Header {
    /// The head of an `.npy` file in C order; what follows are its numbers.
    fn read(reader: &mut impl Read) -> Option<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).ok()?;
        let version = start.strip_prefix(MAGIC)?[0];
        let mut length = [0; 4];
        reader.read_exact(&mut length[..if version == 1 { 2 } else { 4 }]).ok()?;
        let length = u32::from_le_bytes(length).min(MAX_HEADER);
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).ok()?;
        let header = std::str::from_utf8(&header).ok()?;
        let after =
            |key: &str| header.split_once(&format!("'{key}':")).map(|(_, text)| text.trim_start());
        let descr = after("descr")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
        if !after("fortran_order")?.starts_with("False") {
            return None;
        }
        let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
        let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
        let shape = axes.map(|axis| axis.parse().ok()).collect::<Option<Vec<usize>>>()?;
        Some(Self { descr, shape })
    }
}

fn problem(path: &str, problem: impl Into<String>) -> EvalError {
    EvalError::Format { path: path.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
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
}
