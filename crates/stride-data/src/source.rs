//! A folder of pictures with their captions.

use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::imageops::FilterType;

use crate::{CelebaAttributes, DataError, ImageFolder};

/// Bounds on a picture.
#[derive(Clone, Debug, Default)]
pub struct Limits;

/// How pictures are resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Bicubic.
    Bicubic,
    /// Bilinear.
    Bilinear,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its captions.
    pub captions: Vec<String>,
    /// Its attributes.
    pub attributes: Option<CelebaAttributes>,
}

/// A picture that cannot be used.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The picture.
    pub name: String,
    /// Why.
    pub kind: ProblemKind,
}

/// Why a picture cannot be used.
#[derive(Clone, Debug)]
pub enum ProblemKind {
    /// It cannot be read or decoded.
    Unreadable(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ProblemKind::Unreadable(why) = &self.kind;
        write!(f, "{}: {why}", self.name)
    }
}

/// A data set.
pub struct Source {
    dir: PathBuf,
    records: Vec<Record>,
}

impl Source {
    /// Opens it.
    ///
    /// # Errors
    /// As [`ImageFolder::open`].
    pub fn open(path: &Path, _limits: Limits) -> Result<Self, DataError> {
        let folder = ImageFolder::open(path, None)?;
        let record = |image: crate::CaptionedImage| Record {
            name: image.file_name,
            captions: image.captions,
            attributes: None,
        };
        Ok(Self { dir: path.to_owned(), records: folder.images.into_iter().map(record).collect() })
    }

    /// The pictures.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, Problem> {
        let name = &self.records[index].name;
        fs::read(self.dir.join(name)).map_err(|error| Problem {
            name: name.clone(),
            kind: ProblemKind::Unreadable(error.to_string()),
        })
    }
}

/// Decodes a picture.
///
/// # Errors
/// It cannot be decoded.
pub fn decode(bytes: &[u8], _limits: &Limits) -> Result<RgbImage, ProblemKind> {
    let image = image::load_from_memory(bytes);
    Ok(image.map_err(|error| ProblemKind::Unreadable(error.to_string()))?.into_rgb8())
}

/// The central square at a resolution.
pub fn square(image: &RgbImage, resolution: usize, _filter: Filter) -> RgbImage {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let cropped = image::imageops::crop_imm(image, left, top, side, side).to_image();
    let resolution = resolution as u32;
    image::imageops::resize(&cropped, resolution, resolution, FilterType::CatmullRom)
}
