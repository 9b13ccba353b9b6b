//! Archives of arrays (`.npz`) in which the field exchanges statistics and samples.

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use nalgebra::{DMatrix, DVector};
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::EvalError;
use crate::error::same;
use crate::statistics::Gaussian;

/// The most bytes of an unpacked array, that of a 16,384-wide covariance in f64; a small archive can claim any size.
const MAX_BYTES: u64 = 1 << 31;
const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads `mu` and `sigma` as pytorch-fid, clean-fid and the ADM suite write them (f32 or f64).
///
/// # Errors
/// The file cannot be read, is damaged, lacks an array, has shapes that contradict each other or another
/// width than `width`, or holds a value that is not finite.
pub fn read_statistics(path: &Path, width: Option<usize>) -> Result<Gaussian, EvalError> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(EvalError::io(path))?;
    let mut archive = open(&name, &bytes)?;
    let mu = array(&name, &mut archive, "mu")?;
    let sigma = array(&name, &mut archive, "sigma")?;
    let &[found] = mu.shape.as_slice() else {
        return Err(problem(&name, format!("mu: expected one axis, found shape {:?}", mu.shape)));
    };
    if sigma.shape != [found, found] || found == 0 {
        let text = format!(
            "sigma: expected shape [{found}, {found}] as mu has it, found {:?}",
            sigma.shape
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
        let options = FileOptions::default().compression_method(CompressionMethod::Stored);
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

/// An array as it lies in the file.
struct Array {
    descr: String,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Array {
    fn numbers(&self, file: &str, name: &str) -> Result<Vec<f64>, EvalError> {
        let values: Vec<f64> = match self.descr.as_str() {
            "<f8" => chunks(&self.data).map(f64::from_le_bytes).collect(),
            "<f4" => chunks(&self.data).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            other => {
                return Err(problem(
                    file,
                    format!("{name}: expected numbers <f4 or <f8, found {other}"),
                ));
            }
        };
        let expected = self.shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if expected != Some(values.len()) {
            let text =
                format!("{name}: shape {:?} needs other than {} values", self.shape, values.len());
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

fn open<'a>(file: &str, bytes: &'a [u8]) -> Result<ZipArchive<Cursor<&'a [u8]>>, EvalError> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
        problem(file, format!("not a complete .npz archive ({error}); copy or make it again"))
    })
}

fn array(
    file: &str,
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
) -> Result<Array, EvalError> {
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let entry = archive.by_name(&format!("{name}.npy")).map_err(|error| {
        problem(file, format!("expected an array {name}, found {names:?} ({error})"))
    })?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full array from a cut one.
    entry.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| {
        problem(file, format!("{name}: damaged ({error}); copy or make it again"))
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(problem(file, format!("{name}: more than {MAX_BYTES} bytes")));
    }
    parse(&bytes).ok_or_else(|| problem(file, format!("{name}: not an array in numpy's format")))
}

/// Header and data of an `.npy` file, C order.
fn parse(bytes: &[u8]) -> Option<Array> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => {
            (usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?, rest)
        }
        _ => return None,
    };
    let header = std::str::from_utf8(rest.get(..length)?).ok()?;
    let after =
        |key: &str| header.split_once(&format!("'{key}':")).map(|(_, text)| text.trim_start());
    let descr = after("descr")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
    if !after("fortran_order")?.starts_with("False") {
        return None;
    }
    let shape = after("shape")?.strip_prefix('(')?.split(')').next()?;
    let axes = shape.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    let shape = axes.map(|axis| axis.parse().ok()).collect::<Option<Vec<usize>>>()?;
    Some(Array { descr, shape, data: rest[length..].to_vec() })
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
