//! Writing an image folder: `000000.png` ... and `metadata.jsonl`; and a folder of masks of the same images.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, MAX_RESOLUTION};
use crate::image::render;
use crate::listing::{CAPTIONS_PER_IMAGE, CaptionKind};
use crate::mask::small_parts_mask;
use crate::sample::Distribution;
use crate::split::Split;

/// The largest number of images: file names have six digits.
const MAX_COUNT: u64 = 1_000_000;

/// What to write.
#[derive(Debug, Clone)]
pub struct DatasetRequest {
    /// The folder; created when it does not exist, and it must be empty.
    pub out: PathBuf,
    /// Number of images, up to a million.
    pub count: u64,
    /// Seed; image `i` depends on the seed and `i` only.
    pub seed: u64,
    /// Width and height in pixels.
    pub resolution: u32,
    /// Which combinations of attributes appear.
    pub split: Split,
    /// How often each value appears.
    pub distribution: Distribution,
    /// Which captions are listed; the images do not depend on it.
    pub captions: CaptionKind,
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct DatasetSummary {
    /// Number of images.
    pub images: u64,
    /// Number of captions of all images together.
    pub captions: u64,
}

/// One line of `metadata.jsonl`.
#[derive(Debug, Serialize)]
struct MetadataLine {
    file_name: String,
    /// The caption that tells everything.
    text: String,
    captions: Vec<String>,
    attributes: BTreeMap<&'static str, &'static str>,
}

/// Writes the images, then `metadata.jsonl`, which is therefore complete when it exists.
///
/// `progress` is called with the number of finished images, from any thread.
///
/// # Errors
/// [`Error::OutputNotEmpty`], [`Error::Count`], [`Error::Resolution`], or the first
/// failure of writing.
pub fn write_dataset(
    request: &DatasetRequest,
    progress: impl Fn(u64) + Sync,
) -> Result<DatasetSummary, Error> {
    let lines = write_each(request, progress, write_image)?;
    write_metadata(&request.out, &lines)?;
    Ok(DatasetSummary {
        images: request.count,
        captions: lines.iter().map(|line| line.captions.len() as u64).sum(),
    })
}

/// Writes [the mask](small_parts_mask) of each image of [`write_dataset`] under the name of the image, and no listing.
///
/// # Errors
/// As [`write_dataset`].
pub fn write_masks(
    request: &DatasetRequest,
    progress: impl Fn(u64) + Sync,
) -> Result<DatasetSummary, Error> {
    write_each(request, progress, |request, index| {
        let attributes = request.distribution.sample(request.seed, index, request.split);
        let mask = small_parts_mask(&attributes, request.resolution)?;
        let path = request.out.join(file_name(index));
        write_png(&path, request.resolution, png::ColorType::Grayscale, &mask)
    })?;
    Ok(DatasetSummary { images: request.count, captions: 0 })
}

/// Writes the file of every image into a new folder, in parallel.
fn write_each<T: Send>(
    request: &DatasetRequest,
    progress: impl Fn(u64) + Sync,
    write: impl Fn(&DatasetRequest, u64) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    if !(1..=MAX_COUNT).contains(&request.count) {
        return Err(Error::Count { count: request.count });
    }
    if !(1..=MAX_RESOLUTION).contains(&request.resolution) {
        return Err(Error::Resolution { resolution: request.resolution });
    }
    prepare_folder(&request.out)?;
    let done = AtomicU64::new(0);
    (0..request.count)
        .into_par_iter()
        .map(|index| {
            let written = write(request, index)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(written)
        })
        .collect()
}

fn file_name(index: u64) -> String {
    format!("{index:06}.png")
}

fn prepare_folder(path: &Path) -> Result<(), Error> {
    let fault = |action| move |error| Error::Io { action, path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(fault("create the folder"))?;
    if fs::read_dir(path).map_err(fault("read the folder"))?.next().is_some() {
        return Err(Error::OutputNotEmpty { path: path.to_owned() });
    }
    Ok(())
}

fn write_image(request: &DatasetRequest, index: u64) -> Result<MetadataLine, Error> {
    let attributes = request.distribution.sample(request.seed, index, request.split);
    let image = render(&attributes, request.resolution)?;
    let file_name = file_name(index);
    let path = request.out.join(&file_name);
    write_png(&path, request.resolution, png::ColorType::Rgb, &image.rgb)?;
    let captions = request.captions.captions(&attributes, request.seed, index, CAPTIONS_PER_IMAGE);
    Ok(MetadataLine {
        file_name,
        text: captions.first().cloned().unwrap_or_default(),
        captions,
        attributes: attributes.to_map(),
    })
}

fn write_png(path: &Path, side: u32, color: png::ColorType, pixels: &[u8]) -> Result<(), Error> {
    let file = File::create(path).map_err(|error| Error::Io {
        action: "create",
        path: path.to_owned(),
        error,
    })?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), side, side);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(pixels)?;
            writer.finish()
        })
        .map_err(|error| Error::Png { path: path.to_owned(), error })
}

/// Writes under another name first, so that a half-written file is never taken for data.
fn write_metadata(out: &Path, lines: &[MetadataLine]) -> Result<(), Error> {
    let path = out.join("metadata.jsonl");
    let partial = out.join("metadata.jsonl.partial");
    let write = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(&partial)?);
        for line in lines {
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().map_err(|error| Error::Io { action: "write", path: path.clone(), error })
}
