//! What the other tests open: fixtures, and small sets written on the spot.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use safetensors::SafeTensors;
use stride_data::{CaptionSource, Limits, Source, SourceOptions};
use tempfile::TempDir;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The tensors of a fixture: names, shapes and bytes.
pub(crate) fn tensors(name: &str) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(fixture(name)).expect("a fixture");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
        .collect()
}

/// The encoded images of `images.safetensors` by name, with the shape and pixels expected.
pub(crate) fn images() -> Vec<(String, Vec<u8>, RgbImage)> {
    let tensors = tensors("pictures.safetensors");
    let find = |wanted: &str| tensors.iter().find(|(name, ..)| name == wanted).expect("in pairs");
    tensors
        .iter()
        .filter_map(|(name, _, bytes)| Some((name.strip_prefix("file.")?, bytes)))
        .map(|(name, bytes)| {
            let (_, shape, pixels) = find(&format!("rgb.{name}"));
            (name.to_owned(), bytes.clone(), rgb(shape, pixels))
        })
        .collect()
}

pub(crate) fn rgb(shape: &[usize], pixels: &[u8]) -> RgbImage {
    RgbImage::from_raw(shape[1] as u32, shape[0] as u32, pixels.to_vec()).expect("height, width, 3")
}

/// The largest difference of two images of one size.
pub(crate) fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// A small PNG; another for every seed.
pub(crate) fn png(seed: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(6, 5, |x, y| Rgb([seed, x as u8 * 40, y as u8 * 50]));
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("encodable");
    bytes
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
    dir
}

/// Captions and attributes where there are some, however few.
pub(crate) fn lenient(limits: Limits) -> SourceOptions {
    let captions = CaptionSource::Both;
    SourceOptions { limits, captions, max_uncaptioned: 1.0, ..SourceOptions::default() }
}

/// Images alone.
pub(crate) fn images_alone(limits: Limits) -> SourceOptions {
    SourceOptions { limits, ..SourceOptions::without_captions() }
}

pub(crate) fn open(path: &Path) -> Source {
    Source::open(path, &lenient(Limits::default())).expect("a data set")
}

pub(crate) fn error(path: &Path) -> String {
    error_with(path, &lenient(Limits::default()))
}

pub(crate) fn error_with(path: &Path, options: &SourceOptions) -> String {
    match Source::open(path, options) {
        Ok(source) => panic!("taken for {}", source.layout()),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn names(source: &Source) -> Vec<&str> {
    source.records().iter().map(|record| record.name.as_str()).collect()
}

pub(crate) fn captions(source: &Source) -> Vec<Vec<&str>> {
    source
        .records()
        .iter()
        .map(|record| record.captions.iter().map(String::as_str).collect())
        .collect()
}

pub(crate) fn problems(source: &Source) -> Vec<String> {
    source.problems().iter().map(ToString::to_string).collect()
}
