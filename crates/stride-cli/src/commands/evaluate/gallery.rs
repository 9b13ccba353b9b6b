//! The pictures of a report: the same noise at every step count, and the way from noise to picture.

use std::io::Cursor;

use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageBuffer, Rgb};
use stride::image::RgbImage;

use super::draw::Studio;
use super::study::Study;

/// Prompts of the grid.
const PROMPTS: usize = 6;
/// Step counts whose way is shown.
const STRIP_STEPS: [usize; 3] = [2, 4, 128];
/// Pictures of a strip, at most.
const STRIP_LENGTH: usize = 8;
/// Width of a picture on the page.
const TILE: u32 = 144;
/// Quality of its JPEG file.
const QUALITY: u8 = 84;
/// White pixels between the pictures of the sheet.
const GAP: usize = 4;

/// Pictures as JPEG files.
pub(super) struct Gallery {
    /// The captions of the grid's rows.
    pub(super) prompts: Vec<String>,
    /// A row for each caption, a picture for each step count.
    pub(super) grid: Vec<Vec<Vec<u8>>>,
    /// The grid in one file.
    pub(super) sheet: Vec<u8>,
    /// Steps, and the pictures after some of them.
    pub(super) strips: Vec<(usize, Vec<Vec<u8>>)>,
    /// The failures of every study.
    pub(super) failures: Vec<Vec<Vec<u8>>>,
}

impl Gallery {
    /// Draws the pictures again that a report shows.
    pub(super) fn draw(studio: &Studio<'_>, studies: &[Study]) -> anyhow::Result<Self> {
        let images = &studio.data[0].folder.images;
        let prompts: Vec<String> =
            images.iter().take(PROMPTS).map(|image| image.captions[0].clone()).collect();
        let mut tiles = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            let row = studio.job.steps.iter().map(|&steps| studio.draw(0, prompt, index, steps));
            tiles.push(row.map(|picture| Ok(tile(&picture?))).collect::<anyhow::Result<Vec<_>>>()?);
        }
        let mut strips = Vec::new();
        for steps in STRIP_STEPS {
            strips.push((steps, strip(studio, &prompts[0], steps)?));
        }
        let failures = studies.iter().map(|study| {
            let pictures = study.failures.iter().map(|failure| {
                jpeg(&tile(&studio.draw(0, &failure.caption, failure.index, failure.steps)?))
            });
            pictures.collect::<anyhow::Result<Vec<_>>>()
        });
        let failures = failures.collect::<anyhow::Result<_>>()?;
        let grid = tiles.iter().map(|row| row.iter().map(jpeg).collect::<anyhow::Result<_>>());
        Ok(Self {
            grid: grid.collect::<anyhow::Result<_>>()?,
            sheet: jpeg(&RgbImage::sheet(&tiles, GAP))?,
            prompts,
            strips,
            failures,
        })
    }
}

/// States on the way of picture 0, evenly spaced; the last one is the picture.
fn strip(studio: &Studio<'_>, prompt: &str, num_steps: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let shown = num_steps.min(STRIP_LENGTH);
    let mut states = Vec::new();
    studio.draw_seen(0, prompt, 0, num_steps, &mut |event| {
        if event.step * shown % num_steps < shown {
            states.push(tile(&event.preview()));
        }
    })?;
    states.iter().map(jpeg).collect()
}

/// A picture in the size of the page; smaller ones stay as they are.
fn tile(picture: &RgbImage) -> RgbImage {
    let (width, height) = (picture.width as u32, picture.height as u32);
    if width <= TILE {
        return picture.clone();
    }
    let Some(buffer) = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, picture.pixels.clone())
    else {
        return picture.clone();
    };
    let height = (height * TILE / width).max(1);
    let small = resize(&buffer, TILE, height, FilterType::CatmullRom);
    RgbImage { width: TILE as usize, height: height as usize, pixels: small.into_raw() }
}

fn jpeg(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(
            &picture.pixels,
            picture.width as u32,
            picture.height as u32,
            ExtendedColorType::Rgb8,
        )
        .context("a picture of the report")?;
    Ok(bytes.into_inner())
}
