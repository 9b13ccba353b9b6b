//! Images in the size of a page, in grids and strips.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageBuffer, Rgb};
use maud::{Markup, html};
use stride::image::RgbImage;

use super::text::in_steps;
use crate::EvalError;

/// Step counts whose intermediate steps are shown.
pub(super) const STRIP_STEPS: [usize; 3] = [2, 4, 128];
/// Images of such a strip, at most.
const STRIP_LENGTH: usize = 8;
/// White pixels between the images of a sheet.
const GAP: usize = 4;
/// Width of an image on the page.
const WIDTH: u32 = 144;
/// Quality of its JPEG file.
const QUALITY: u8 = 84;

/// An image in the size of the page, with its JPEG file.
#[derive(Clone, Debug)]
pub struct Tile {
    image: RgbImage,
    jpeg: Vec<u8>,
}

/// Images after some steps of one sample, from noise to image.
#[derive(Clone, Debug)]
pub struct Strip {
    /// Steps of the sample.
    pub steps: usize,
    /// Evenly spaced; the last one is the image.
    pub states: Vec<Tile>,
}

impl Tile {
    /// Shrinks an image to the size of the page; smaller ones stay as they are.
    ///
    /// # Errors
    /// Where the image is too large for a JPEG file.
    pub fn new(image: &RgbImage) -> Result<Self, EvalError> {
        let image = shrink(image);
        Ok(Self { jpeg: jpeg(&image)?, image })
    }

    /// The image inside a page.
    pub fn img(&self, alt: &str) -> Markup {
        let src = format!("data:image/jpeg;base64,{}", STANDARD.encode(&self.jpeg));
        html! { img alt=(alt) loading="lazy" src=(src); }
    }
}

/// Rows of images as one JPEG file.
///
/// # Errors
/// Where the sheet is too large for a JPEG file.
pub(super) fn sheet<'a>(
    rows: impl IntoIterator<Item = impl IntoIterator<Item = &'a Tile>>,
) -> Result<Vec<u8>, EvalError> {
    let rows = rows.into_iter().map(|row| row.into_iter().map(|tile| tile.image.clone()).collect());
    jpeg(&RgbImage::sheet(&rows.collect::<Vec<_>>(), GAP))
}

/// Whether the state after step `step` of `num_steps` is in a strip.
pub(super) fn is_in_strip(step: usize, num_steps: usize) -> bool {
    let shown = num_steps.min(STRIP_LENGTH);
    step * shown % num_steps < shown
}

/// Images in named rows, a column for each step count.
pub(super) fn grid<'a>(
    steps: &[usize],
    rows: impl IntoIterator<Item = (&'a str, &'a Vec<Tile>)>,
) -> Markup {
    let columns = format!(
        "grid-template-columns:minmax(7rem,11rem) repeat({},minmax(4rem,9rem))",
        steps.len()
    );
    html! {
        div class="scroll" {
            div class="grid" style=(columns) {
                span {}
                @for steps in steps { span class="head" { (steps) } }
                @for (name, tiles) in rows {
                    span class="caption" { (name) }
                    @for (tile, &steps) in tiles.iter().zip(steps) {
                        (tile.img(&format!("{name}, {}", in_steps(steps))))
                    }
                }
            }
        }
    }
}

/// The states of a strip side by side.
pub(super) fn strip(strip: &Strip) -> Markup {
    let steps = strip.steps;
    // As many columns in every strip, so that their images have one size.
    let columns =
        format!("grid-template-columns:5.5rem repeat({STRIP_LENGTH},minmax(4rem,8.5rem))");
    let done = |index: usize| (index + 1) * steps / strip.states.len();
    html! {
        div class="scroll" { div class="strip" style=(columns) {
            b { (in_steps(steps)) }
            @for (index, state) in strip.states.iter().enumerate() {
                (state.img(&format!("after {} of {steps} steps", done(index))))
            }
        } }
    }
}

fn shrink(image: &RgbImage) -> RgbImage {
    let (width, height) = (image.width as u32, image.height as u32);
    if width <= WIDTH {
        return image.clone();
    }
    let Some(buffer) = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, image.pixels.clone())
    else {
        return image.clone();
    };
    let height = (height * WIDTH / width).max(1);
    let small = resize(&buffer, WIDTH, height, FilterType::CatmullRom);
    RgbImage { width: WIDTH as usize, height: height as usize, pixels: small.into_raw() }
}

fn jpeg(image: &RgbImage) -> Result<Vec<u8>, EvalError> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&image.pixels, image.width as u32, image.height as u32, ExtendedColorType::Rgb8)
        .map_err(EvalError::Jpeg)?;
    Ok(bytes.into_inner())
}
