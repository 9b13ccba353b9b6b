//! Images in the size of a page.

use std::io::Cursor;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageBuffer, Rgb};
use stride::image::RgbImage;

use super::text::escape;

/// Step counts whose way from noise to image is shown.
pub(crate) const STRIP_STEPS: [usize; 3] = [2, 4, 128];
/// Images of such a strip, at most.
const STRIP_LENGTH: usize = 8;
/// White pixels between the images of a sheet.
pub(crate) const GAP: usize = 4;
/// Width of an image on the page.
const TILE: u32 = 144;
/// Quality of its JPEG file.
const QUALITY: u8 = 84;

/// Whether the state after step `step` of `num_steps` is in a strip: those in it are evenly spaced, and the last one is the image.
pub(crate) fn is_in_strip(step: usize, num_steps: usize) -> bool {
    let shown = num_steps.min(STRIP_LENGTH);
    step * shown % num_steps < shown
}

/// An image in the size of the page; smaller ones stay as they are.
pub(crate) fn tile(image: &RgbImage) -> RgbImage {
    let (width, height) = (image.width as u32, image.height as u32);
    if width <= TILE {
        return image.clone();
    }
    let Some(buffer) = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, image.pixels.clone())
    else {
        return image.clone();
    };
    let height = (height * TILE / width).max(1);
    let small = resize(&buffer, TILE, height, FilterType::CatmullRom);
    RgbImage { width: TILE as usize, height: height as usize, pixels: small.into_raw() }
}

/// An image as a JPEG file.
pub(crate) fn jpeg(image: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&image.pixels, image.width as u32, image.height as u32, ExtendedColorType::Rgb8)
        .context("an image of the report")?;
    Ok(bytes.into_inner())
}

/// A JPEG file inside a page.
pub(crate) fn img(jpeg: &[u8], alt: &str) -> String {
    format!(
        "<img alt=\"{}\" loading=\"lazy\" src=\"data:image/jpeg;base64,{}\">",
        escape(alt),
        STANDARD.encode(jpeg)
    )
}
