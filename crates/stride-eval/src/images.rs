//! Sets of images, as fid programs take them.

use std::fs;
use std::path::{Path, PathBuf};

use stride::image::RgbImage;
use stride_files::ContentHash;

use crate::EvalError;
use crate::error::at_least;
use crate::npz::{SampleArchive, is_archive};

/// Endings that count as images.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A folder's images in the order of their names, or those of a sample archive.
#[derive(Clone, Debug)]
pub struct ImageSet {
    source: Source,
    len: usize,
}

#[derive(Clone, Debug)]
enum Source {
    Folder(Vec<PathBuf>),
    Archive(SampleArchive),
}

impl ImageSet {
    /// Lists the images (png, jpg) of a folder, not of the folders inside it; or opens an `.npz` archive with `arr_0`.
    ///
    /// # Errors
    /// The folder or archive cannot be read, or has fewer than two images.
    pub fn open(path: &Path, max_images: Option<usize>) -> Result<Self, EvalError> {
        let (source, found) = if is_archive(path) {
            let archive = SampleArchive::open(path)?;
            let count = archive.len();
            (Source::Archive(archive), count)
        } else {
            let paths = list(path)?;
            let count = paths.len();
            (Source::Folder(paths), count)
        };
        at_least(&format!("{}: images (png, jpg)", path.display()), 2, found)?;
        Ok(Self { source, len: found.min(max_images.unwrap_or(found)) })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Decodes the images in batches and hands each on; at most `batch` are in memory.
    ///
    /// # Errors
    /// An image cannot be decoded or has another size than the first; or `each` fails.
    pub fn for_each_batch(
        &self,
        batch: usize,
        mut each: impl FnMut(&[RgbImage]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut images: Vec<RgbImage> = Vec::with_capacity(batch.max(1));
        let mut add = |image: RgbImage| {
            images.push(image);
            if images.len() < batch.max(1) {
                return Ok(());
            }
            let result = each(&images);
            images.clear();
            result
        };
        match &self.source {
            Source::Archive(archive) => archive.for_each(self.len, add)?,
            Source::Folder(paths) => {
                let mut size = None;
                for path in &paths[..self.len] {
                    let image = read(path)?;
                    same_size(path, *size.get_or_insert((image.width, image.height)), &image)?;
                    add(image)?;
                }
            }
        }
        if images.is_empty() { Ok(()) } else { each(&images) }
    }
}

/// SHA-256 of an image's pixels.
pub fn digest(image: &RgbImage) -> [u8; 32] {
    *ContentHash::of(&image.pixels).as_bytes()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, EvalError> {
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
    Ok(paths)
}

fn same_size(
    path: &Path,
    (expected_width, expected_height): (usize, usize),
    &RgbImage { width, height, .. }: &RgbImage,
) -> Result<(), EvalError> {
    if (width, height) == (expected_width, expected_height) {
        return Ok(());
    }
    Err(EvalError::MixedSizes {
        path: path.display().to_string(),
        expected_width,
        expected_height,
        width,
        height,
    })
}

fn read(path: &Path) -> Result<RgbImage, EvalError> {
    let bytes = fs::read(path).map_err(EvalError::io(path))?;
    let decoded = image::load_from_memory(&bytes)
        .map_err(|source| EvalError::Image { path: path.display().to_string(), source })?
        .into_rgb8();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    Ok(RgbImage { width, height, pixels: decoded.into_raw() })
}
