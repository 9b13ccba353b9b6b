//! Image files of every format: written with what they say about their image, and read without its pixels.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageEncoder};

use super::error::ImageError;
use super::exif;
use super::metadata::{ImageFile, ImageFormat, ImageMetadata};
use super::png_file::{png_bytes, read_png};
use super::rgb::RgbImage;

/// The most bytes of EXIF in a JPEG file: a segment's 65,533 without the six that name it.
const MOST_JPEG_EXIF: usize = 65_527;

/// The bytes of an image file that says how its image was made.
///
/// The same arguments give the same bytes. `quality`, 1..=100, is for JPEG; PNG and WebP are lossless. JPEG keeps
/// colours at full resolution.
///
/// # Errors
/// The image has no pixels, or another number of them than its sides say; or a JPEG or WebP file does not hold it or the
/// text.
pub fn image_bytes(
    image: &RgbImage,
    format: ImageFormat,
    quality: u8,
    metadata: &ImageMetadata,
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Png => return png_bytes(image, metadata),
        ImageFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
            write(encoder, image, format, metadata)?;
        }
        ImageFormat::Webp => {
            write(WebPEncoder::new_lossless(&mut bytes), image, format, metadata)?;
        }
    }
    Ok(bytes)
}

fn write(
    mut encoder: impl ImageEncoder,
    image: &RgbImage,
    format: ImageFormat,
    metadata: &ImageMetadata,
) -> Result<(), ImageError> {
    let [width, height] = image.checked_sides()?;
    let failed = |problem: String| ImageError::Write { format, problem };
    if let Some(exif) = exif::to_bytes(metadata) {
        if format == ImageFormat::Jpeg && exif.len() > MOST_JPEG_EXIF {
            return Err(ImageError::TooMuchText { limit: MOST_JPEG_EXIF, found: exif.len() });
        }
        encoder.set_exif_metadata(exif).map_err(|error| failed(error.to_string()))?;
    }
    encoder
        .write_image(&image.pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| failed(error.to_string()))
}

/// What an image file is and says, without its pixels.
///
/// # Errors
/// The bytes are no PNG, JPEG or WebP file, or one whose header is damaged.
pub fn read_image_file(bytes: &[u8]) -> Result<ImageFile, ImageError> {
    match ImageFormat::of_bytes(bytes).ok_or(ImageError::UnknownFormat)? {
        ImageFormat::Png => read_png(bytes),
        ImageFormat::Jpeg => read(ImageFormat::Jpeg, JpegDecoder::new(Cursor::new(bytes))),
        ImageFormat::Webp => read(ImageFormat::Webp, WebPDecoder::new(Cursor::new(bytes))),
    }
}

fn read(
    format: ImageFormat,
    decoder: Result<impl ImageDecoder, image::ImageError>,
) -> Result<ImageFile, ImageError> {
    let failed = |error: image::ImageError| ImageError::Read { format, problem: error.to_string() };
    let mut decoder = decoder.map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let exif = decoder.exif_metadata().map_err(failed)?;
    let (metadata, description) = exif.map(exif::read).unwrap_or_default();
    let other_texts = description.map(|text| ("ImageDescription".to_owned(), text));
    let other_texts = other_texts.into_iter().collect();
    Ok(ImageFile { format, width, height, metadata, other_texts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage { width: 16, height: 8, pixels: (0..16 * 8 * 3).map(|i| (i / 3) as u8).collect() }
    }

    #[test]
    fn every_format_says_how_its_image_was_made() {
        let metadata = ImageMetadata {
            parameters: Some("a man, größer 😀\nSteps: 4, Seed: 1, Size: 16x8".to_owned()),
            json: Some("{\"seed\":1}".to_owned()),
        };
        for format in ImageFormat::ALL {
            let write = |metadata| image_bytes(&image(), format, 90, metadata).expect("writable");
            let bytes = write(&metadata);
            assert_eq!(bytes, write(&metadata), "{format}");
            let found = read_image_file(&bytes).expect("readable");
            assert_eq!((found.format, found.width, found.height), (format, 16, 8));
            assert_eq!(found.metadata, metadata, "{format}");
            let plain = read_image_file(&write(&ImageMetadata::default())).expect("readable");
            assert_eq!(plain.metadata, ImageMetadata::default());
            let pixels = image::load_from_memory(&bytes).expect("an image").into_rgb8().into_raw();
            let error = pixels.iter().zip(&image().pixels).map(|(a, b)| a.abs_diff(*b)).max();
            let most = if format == ImageFormat::Jpeg { 4 } else { 0 };
            assert!(error.is_some_and(|error| error <= most), "{format}: {error:?}");
            for end in 0..bytes.len() {
                let _ = read_image_file(&bytes[..end]);
            }
            assert_eq!(ImageFormat::from_extension(format.extension()), Some(format));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = |length| ImageMetadata { parameters: Some("x".repeat(length)), json: None };
        let write = |format, length| image_bytes(&image(), format, 90, &long(length));
        let error = write(ImageFormat::Jpeg, 40_000).expect_err("two bytes a letter").to_string();
        assert!(error.contains("at most 65527 bytes") && error.contains("write PNG"), "{error}");
        write(ImageFormat::Jpeg, 32_000).expect("fits");
        write(ImageFormat::Webp, 40_000).expect("fits");
        let wide = RgbImage { width: 70_000, height: 1, pixels: vec![7; 210_000] };
        for format in [ImageFormat::Jpeg, ImageFormat::Webp] {
            assert!(image_bytes(&wide, format, 90, &ImageMetadata::default()).is_err());
        }
        assert!(matches!(read_image_file(b"GIF89a"), Err(ImageError::UnknownFormat)));
    }
}
