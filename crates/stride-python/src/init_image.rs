//! An image to begin with, in whatever form Python has it.

use std::path::PathBuf;

use pyo3::prelude::*;
use stride::image::RgbImage;
use stride::pipeline::InitImage;
use stride_data::{Filter, Limits, decode, square};

use crate::error::{StrideError, wrong_value};
use crate::image::Image;

/// The central square of an image, in a model's resolution; with `strength`, or without both.
pub(crate) fn read(
    image: Option<&Bound<'_, PyAny>>,
    strength: Option<f64>,
    resolution: usize,
) -> PyResult<Option<InitImage>> {
    let (image, strength) = match (image, strength) {
        (None, None) => return Ok(None),
        (Some(image), Some(strength)) => (image, strength),
        _ => return Err(wrong_value("expected init_image and strength, or neither of them")),
    };
    let pixels = if let Ok(drawn) = image.cast::<Image>() {
        let RgbImage { width, height, pixels } = &drawn.get().image;
        rgb(*width as u32, *height as u32, pixels.clone())?
    } else if let Ok(path) = image.extract::<PathBuf>() {
        let bytes = stride_files::read_file(&path)
            .map_err(|error| StrideError::new_err(format!("{}: {error}", path.display())))?;
        decode(&bytes, &Limits::default())
            .map_err(|problem| StrideError::new_err(format!("{}: {problem}", path.display())))?
    } else {
        of_pillow(image)?
    };
    let square = square(&pixels, resolution, Filter::Bicubic);
    let image = RgbImage { width: resolution, height: resolution, pixels: square.into_raw() };
    Ok(Some(InitImage { image, strength }))
}

/// The pixels of an image of Pillow, or of an array, which Pillow understands.
fn of_pillow(image: &Bound<'_, PyAny>) -> PyResult<image::RgbImage> {
    let pillow = image.py().import("PIL.Image")?;
    let image = if image.is_instance(&pillow.getattr("Image")?)? {
        image.clone()
    } else {
        pillow.call_method1("fromarray", (image,))?
    };
    let image = image.call_method1("convert", ("RGB",))?;
    let (width, height) = image.getattr("size")?.extract()?;
    rgb(width, height, image.call_method0("tobytes")?.extract()?)
}

fn rgb(width: u32, height: u32, pixels: Vec<u8>) -> PyResult<image::RgbImage> {
    let pixels = image::RgbImage::from_raw(width, height, pixels);
    let pixels = pixels.filter(|_| width > 0 && height > 0);
    pixels.ok_or_else(|| wrong_value("init_image: expected an image with pixels"))
}
