//! Folders of pictures, as fid programs take them.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use stride::image::RgbImage;

use crate::EvalError;
use crate::error::at_least;

/// Endings that count as pictures.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The pictures of a folder in the order of their names; other files are left out.
#[derive(Clone, Debug)]
pub struct PictureFolder {
    paths: Vec<PathBuf>,
}

impl PictureFolder {
    /// Lists a folder, not the folders inside it.
    ///
    /// # Errors
    /// The folder cannot be read, or has fewer than two pictures.
    pub fn open(folder: &Path, max_pictures: Option<usize>) -> Result<Self, EvalError> {
        let entries = fs::read_dir(folder).map_err(EvalError::io(folder))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(EvalError::io(folder))?;
        paths.retain(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
            ENDINGS.contains(&ending.to_ascii_lowercase().as_str())
        });
        paths.sort();
        paths.truncate(max_pictures.unwrap_or(usize::MAX));
        at_least(&format!("{}: pictures (png, jpg)", folder.display()), 2, paths.len())?;
        Ok(Self { paths })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Never: a folder has at least two pictures.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Decodes the pictures in batches and hands each on; at most `batch` are in memory.
    ///
    /// Returns the SHA-256 of all pixels in order, which is what a certificate prints.
    ///
    /// # Errors
    /// A picture cannot be decoded or has another size than the first; or `each` fails.
    pub fn for_each_batch(
        &self,
        batch: usize,
        mut each: impl FnMut(&[RgbImage]) -> Result<(), EvalError>,
    ) -> Result<String, EvalError> {
        let mut hash = Sha256::new();
        let mut size = None;
        for paths in self.paths.chunks(batch.max(1)) {
            let mut pictures = Vec::with_capacity(paths.len());
            for path in paths {
                let picture = read(path)?;
                let (width, height) = (picture.width, picture.height);
                let (expected_width, expected_height) = *size.get_or_insert((width, height));
                if (width, height) != (expected_width, expected_height) {
                    return Err(EvalError::MixedSizes {
                        path: path.display().to_string(),
                        expected_width,
                        expected_height,
                        width,
                        height,
                    });
                }
                hash.update(&picture.pixels);
                pictures.push(picture);
            }
            each(&pictures)?;
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<RgbImage, EvalError> {
    let bytes = fs::read(path).map_err(EvalError::io(path))?;
    let decoded = image::load_from_memory(&bytes)
        .map_err(|source| EvalError::Picture { path: path.display().to_string(), source })?
        .into_rgb8();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    Ok(RgbImage { width, height, pixels: decoded.into_raw() })
}
