//! Sets of images, as fid programs take them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stride::image::RgbImage;
use stride_data::{Limits, Pixels, decode_as, is_composited_or_turned};
use stride_files::ContentHash;

use crate::EvalError;
use crate::error::at_least;
use crate::npz::{SampleArchive, is_archive};

/// Endings that count as images.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// Endings of images that other programs count and this one cannot read.
const UNREADABLE: [&str; 8] = ["bmp", "gif", "jxl", "pgm", "ppm", "tif", "tiff", "avif"];

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
    /// Lists the images (png, jpg, webp) of a folder, not of the folders inside it; or opens an `.npz` archive with
    /// `arr_0`. Images of other formats are left out with a warning that counts them; hidden files are passed over.
    ///
    /// # Errors
    /// The folder or archive cannot be read, or has fewer than two images.
    pub fn open(path: &Path, max_images: Option<usize>) -> Result<Self, EvalError> {
        let (source, found) = if is_archive(path) {
            let archive = SampleArchive::open(path)?;
            let count = archive.len();
            (Source::Archive(archive), count)
        } else {
            let (paths, left_out) = list(path)?;
            if !left_out.is_empty() {
                let counts = left_out.iter().map(|(ending, count)| format!("{count} .{ending}"));
                tracing::warn!(
                    "{}: left out {}, which cannot be read; other programs count them, so convert them to png",
                    path.display(),
                    counts.collect::<Vec<_>>().join(", ")
                );
            }
            let count = paths.len();
            (Source::Folder(paths), count)
        };
        at_least(&format!("{}: images (png, jpg, webp)", path.display()), 2, found)?;
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

    /// Decodes the images in batches and hands each on; at most `batch` are in memory. `pixels` says which pixels count;
    /// an archive has one kind alone.
    ///
    /// # Errors
    /// An image cannot be decoded or has another size than the first; or `each` fails.
    pub fn for_each_batch(
        &self,
        batch: usize,
        pixels: Pixels,
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
                let (mut size, mut shown_otherwise) = (None, 0);
                for path in &paths[..self.len] {
                    let (image, is_otherwise) = read(path, pixels)?;
                    shown_otherwise += usize::from(is_otherwise);
                    same_size(path, *size.get_or_insert((image.width, image.height)), &image)?;
                    add(image)?;
                }
                if shown_otherwise > 0 {
                    tracing::warn!(
                        "{shown_otherwise} images have alpha or an EXIF orientation: they are laid over white and \
                         turned, as for training; pytorch-fid, clean-fid and torch-fidelity show what alpha hides \
                         and turn nothing, so their numbers for these images are others; \
                         --protocol pytorch-fid-stored does as they do"
                    );
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

/// The images of a folder, and how many there are of each format that cannot be read.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, BTreeMap<String, usize>), EvalError> {
    let entries = fs::read_dir(folder).map_err(EvalError::io(folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(EvalError::io(folder))?;
    let mut left_out = BTreeMap::new();
    paths.retain(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
        let ending = ending.to_ascii_lowercase();
        // What systems and editors leave beside images, as in data sets.
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            return false;
        }
        if UNREADABLE.contains(&ending.as_str()) {
            *left_out.entry(ending.clone()).or_insert(0) += 1;
        }
        ENDINGS.contains(&ending.as_str())
    });
    paths.sort();
    Ok((paths, left_out))
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

/// The pixels of an image; and whether alpha or an orientation has changed them.
fn read(path: &Path, pixels: Pixels) -> Result<(RgbImage, bool), EvalError> {
    let bytes = stride_files::read_file(path).map_err(EvalError::io(path))?;
    let decoded = decode_as(&bytes, &Limits::default(), pixels);
    let decoded = decoded.map_err(|problem| EvalError::BrokenImage {
        path: path.display().to_string(),
        problem: problem.to_string(),
    })?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let image = RgbImage { width, height, pixels: decoded.into_raw() };
    Ok((image, pixels == Pixels::Shown && is_composited_or_turned(&bytes)))
}
