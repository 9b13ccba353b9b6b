//! From the bytes of an image to RGB pixels of 8 bits.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, Pixel, Rgb, RgbImage};
use libjpeg_turbo_rs::{PixelFormat, decompress_to, probe};

use crate::ProblemKind;

/// Bytes that a decoder may allocate for each pixel (16-bit RGBA), and beside the pixels.
const BYTES_PER_PIXEL: u64 = 8;
const OVERHEAD_BYTES: u64 = 64 << 20;

/// Decodes an image to RGB of 8 bits, by the same rules wherever images are read: to train and to judge.
///
/// - JPEG, PNG and WebP, recognised by their bytes, never by their names.
/// - The header is checked against [`Limits`] before memory is allocated for the pixels.
/// - The orientation of EXIF is applied. Colour profiles are not.
/// - Grey becomes R = G = B. Samples of 16 bits become round(v / 257). Palettes are looked up.
/// - Alpha is composited over white: c a + 1 (1 - a), in the depth of the file.
/// - CMYK and YCCK of JPEG become RGB by products, without a profile: R = (1 - C)(1 - K).
/// - Of an animation, the first frame is taken.
/// - JPEG in colour or grey has the pixels of libjpeg-turbo, and so of Pillow, to the byte.
/// - A JPEG without its end marker is broken: half an image does not count.
///
/// # Errors
/// When the bytes are not JPEG, PNG or WebP, are broken, or exceed `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ProblemKind> {
    decode_as(bytes, limits, Pixels::Shown)
}

/// Which of two images a file with alpha or an orientation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// As a person sees it: alpha over white, turned as EXIF says.
    Shown,
    /// As it is stored, which is what Pillow's `convert("RGB")` gives: alpha is dropped, and nothing is turned.
    Stored,
}

/// As [`decode`], with a choice of pixels.
///
/// # Errors
/// As [`decode`].
pub fn decode_as(bytes: &[u8], limits: &Limits, pixels: Pixels) -> Result<RgbImage, ProblemKind> {
    let found = bytes.len() as u64;
    if found > limits.max_file_bytes {
        return Err(ProblemKind::TooLarge { unit: "bytes", found, limit: limits.max_file_bytes });
    }
    let cursor = Cursor::new(bytes);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes, limits, pixels),
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(cursor, decoder_limits(limits));
            read(decoder.map_err(corrupt)?, limits, pixels)
        }
        Ok(ImageFormat::WebP) => read(WebPDecoder::new(cursor).map_err(corrupt)?, limits, pixels),
        _ => Err(ProblemKind::NotAnImage { found: beginning(bytes) }),
    }
}

/// What the pixels of an image depend on beside its bytes: part of the key of latents, where it is not empty.
pub(crate) fn decoder_name(bytes: &[u8]) -> &'static [u8] {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => b"libjpeg-turbo",
        _ => b"",
    }
}

/// Whether an image has alpha or an orientation, so that [`decode`] shows it otherwise than programs that drop the
/// one and pass over the other; false for what is no image.
pub fn is_composited_or_turned(bytes: &[u8]) -> bool {
    fn tell(decoder: Result<impl ImageDecoder, image::ImageError>) -> bool {
        decoder.is_ok_and(|mut decoder| {
            let is_turned = decoder.orientation().is_ok_and(|o| o != Orientation::NoTransforms);
            is_turned || decoder.color_type().has_alpha()
        })
    }
    let cursor = Cursor::new(bytes);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => tell(JpegDecoder::new(cursor)),
        Ok(ImageFormat::Png) => tell(PngDecoder::new(cursor)),
        Ok(ImageFormat::WebP) => tell(WebPDecoder::new(cursor)),
        _ => false,
    }
}

/// Bounds on what is read from a data set, so that a broken or hostile file costs little.
///
/// What exceeds one becomes a [`Problem`](crate::Problem); the rest of the set stays usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an encoded image, unpacked from its archive.
    pub max_file_bytes: u64,
    /// Width times height.
    pub max_pixels: u64,
    /// The larger of width and height.
    pub max_side: u32,
    /// The smaller of width and height is at least this.
    pub min_side: u32,
    /// Bytes of a caption; a longer one is left out.
    pub max_caption_bytes: usize,
    /// Captions of an image; further ones are left out.
    pub max_captions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            max_pixels: 100_000_000,
            max_side: 16_384,
            min_side: 1,
            max_caption_bytes: 16 << 10,
            max_captions: 64,
        }
    }
}

impl Limits {
    /// Bytes that a text file of one image may have: every caption at its longest.
    pub(crate) fn max_text_bytes(&self) -> u64 {
        (self.max_caption_bytes as u64).saturating_mul(self.max_captions as u64).max(1 << 16)
    }
}

/// The decoder of `image` gives header and orientation. The pixels are those of libjpeg-turbo, which upsamples and
/// rounds chroma in another way; CMYK is left to the other decoder.
fn jpeg(bytes: &[u8], limits: &Limits, pixels: Pixels) -> Result<RgbImage, ProblemKind> {
    check_jpeg_end(bytes)?;
    let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(corrupt)?;
    let info = probe(bytes).map_err(|error| ProblemKind::Corrupt(error.to_string()))?;
    if info.components > 3 {
        return read(decoder, limits, pixels);
    }
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    check_size(side(info.width), side(info.height), limits)?;
    let orientation = orientation(&mut decoder, pixels);
    let decoded = decompress_to(bytes, PixelFormat::Rgb)
        .map_err(|error| ProblemKind::Corrupt(error.to_string()))?;
    let image = RgbImage::from_raw(side(decoded.width), side(decoded.height), decoded.data);
    let image = image.ok_or_else(|| ProblemKind::Corrupt("fewer pixels than announced".into()))?;
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    Ok(image.into_rgb8())
}

fn read(
    mut decoder: impl ImageDecoder,
    limits: &Limits,
    pixels: Pixels,
) -> Result<RgbImage, ProblemKind> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    decoder.set_limits(decoder_limits(limits)).map_err(corrupt)?;
    // Broken EXIF says nothing about the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    image.apply_orientation(orientation);
    to_rgb8(image, pixels)
        .ok_or_else(|| ProblemKind::Unsupported("samples that are not integers".into()))
}

/// How the image is to be turned.
fn orientation(decoder: &mut impl ImageDecoder, pixels: Pixels) -> Orientation {
    match pixels {
        // Broken EXIF says nothing about the pixels.
        Pixels::Shown => decoder.orientation().unwrap_or(Orientation::NoTransforms),
        Pixels::Stored => Orientation::NoTransforms,
    }
}

fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), ProblemKind> {
    let (side, pixels) = (width.max(height), u64::from(width) * u64::from(height));
    if side > limits.max_side {
        let (found, limit) = (u64::from(side), u64::from(limits.max_side));
        return Err(ProblemKind::TooLarge { unit: "pixels a side", found, limit });
    }
    if pixels > limits.max_pixels {
        let limit = limits.max_pixels;
        return Err(ProblemKind::TooLarge { unit: "pixels", found: pixels, limit });
    }
    let limit = limits.min_side.max(1);
    if width.min(height) < limit {
        return Err(ProblemKind::TooSmall { width, height, limit });
    }
    Ok(())
}

/// The sides are checked by `check_size`.
fn decoder_limits(limits: &Limits) -> image::Limits {
    let mut inner = image::Limits::no_limits();
    let pixels = limits.max_pixels.saturating_mul(BYTES_PER_PIXEL);
    inner.max_alloc = Some(pixels.saturating_add(OVERHEAD_BYTES));
    inner
}

fn corrupt(error: image::ImageError) -> ProblemKind {
    match error {
        image::ImageError::Unsupported(error) => ProblemKind::Unsupported(error.to_string()),
        error => ProblemKind::Corrupt(error.to_string()),
    }
}

fn beginning(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let first = &bytes[..bytes.len().min(8)];
    format!("\"{}\"", first.escape_ascii())
}

/// Refuses a JPEG that is cut off, which decoders fill with grey instead.
///
/// # Errors
/// When no end marker follows the first scan.
fn check_jpeg_end(bytes: &[u8]) -> Result<(), ProblemKind> {
    if has_jpeg_end(bytes) {
        Ok(())
    } else {
        Err(ProblemKind::Corrupt("the JPEG is cut off: it has no end marker".to_owned()))
    }
}

/// Whether the end marker follows the first scan. Within a scan the byte FF is followed by 00 or a
/// restart marker, so FF D9 is the end and nothing else.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xff => at += 1,
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    false
}

fn to_rgb8(image: DynamicImage, pixels: Pixels) -> Option<RgbImage> {
    let image = match (pixels, image) {
        (Pixels::Stored, DynamicImage::ImageLumaA8(image)) => {
            return Some(map(&image, |p| [p[0]; 3]));
        }
        (Pixels::Stored, DynamicImage::ImageRgba8(image)) => {
            return Some(map(&image, |p| [p[0], p[1], p[2]]));
        }
        (Pixels::Stored, DynamicImage::ImageLumaA16(image)) => {
            return Some(map(&image, |p| [narrow(p[0]); 3]));
        }
        (Pixels::Stored, DynamicImage::ImageRgba16(image)) => {
            return Some(map(&image, |p| [p[0], p[1], p[2]].map(narrow)));
        }
        (_, image) => image,
    };
    Some(match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma8(image) => map(&image, |p| [p[0]; 3]),
        DynamicImage::ImageLumaA8(image) => map(&image, |p| [over_white8(p[0], p[1]); 3]),
        DynamicImage::ImageRgba8(image) => {
            map(&image, |p| [p[0], p[1], p[2]].map(|c| over_white8(c, p[3])))
        }
        DynamicImage::ImageLuma16(image) => map(&image, |p| [narrow(p[0]); 3]),
        DynamicImage::ImageLumaA16(image) => map(&image, |p| [narrow(over_white16(p[0], p[1])); 3]),
        DynamicImage::ImageRgb16(image) => map(&image, |p| [p[0], p[1], p[2]].map(narrow)),
        DynamicImage::ImageRgba16(image) => {
            map(&image, |p| [p[0], p[1], p[2]].map(|c| narrow(over_white16(c, p[3]))))
        }
        _ => return None,
    })
}

fn map<P: Pixel>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    rgb: impl Fn(&[P::Subpixel]) -> [u8; 3],
) -> RgbImage {
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        *to = Rgb(rgb(from.channels()));
    }
    out
}

fn over_white8(color: u8, alpha: u8) -> u8 {
    let (color, alpha) = (u32::from(color), u32::from(alpha));
    ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn over_white16(color: u16, alpha: u16) -> u16 {
    let (color, alpha) = (u64::from(color), u64::from(alpha));
    ((color * alpha + 65_535 * (65_535 - alpha) + 32_767) / 65_535) as u16
}

fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_rounded_to_eight() {
        for (wide, expected) in [(0, 0), (128, 0), (129, 1), (257, 1), (65_535, 255), (65_406, 254)]
        {
            assert_eq!(narrow(wide), expected, "{wide}");
        }
    }

    #[test]
    fn alpha_lies_over_white() {
        assert_eq!([over_white8(0, 255), over_white8(0, 0), over_white8(9, 0)], [0, 255, 255]);
        assert_eq!(over_white8(100, 51), 224);
        assert_eq!([over_white16(0, 65_535), over_white16(7, 0)], [0, 65_535]);
    }

    #[test]
    fn stored_pixels_have_neither_alpha_nor_a_turn() {
        let image =
            image::RgbaImage::from_fn(2, 1, |x, _| image::Rgba([9, 99, 199, x as u8 * 255]));
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("encodable");
        let decoded = |pixels| decode_as(&bytes, &Limits::default(), pixels).expect("an image");
        assert_eq!(decoded(Pixels::Stored).into_raw(), [9, 99, 199, 9, 99, 199]);
        assert_eq!(decoded(Pixels::Shown).into_raw(), [255, 255, 255, 9, 99, 199]);
    }

    #[test]
    fn headers_are_checked_before_pixels() {
        let mut bytes = Vec::new();
        let image = RgbImage::new(40, 30);
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("encodable");
        let limits = Limits { max_side: 39, ..Limits::default() };
        let kind = decode(&bytes, &limits).expect_err("too wide");
        assert!(matches!(kind, ProblemKind::TooLarge { found: 40, limit: 39, .. }), "{kind}");
        let limits = Limits { max_pixels: 1199, ..Limits::default() };
        assert!(matches!(decode(&bytes, &limits), Err(ProblemKind::TooLarge { found: 1200, .. })));
        let limits = Limits { min_side: 31, ..Limits::default() };
        assert!(matches!(decode(&bytes, &limits), Err(ProblemKind::TooSmall { height: 30, .. })));
        let limits = Limits { max_file_bytes: 10, ..Limits::default() };
        assert!(matches!(decode(&bytes, &limits), Err(ProblemKind::TooLarge { limit: 10, .. })));
        assert_eq!(decode(&bytes, &Limits::default()).expect("fine").dimensions(), (40, 30));
    }

    #[test]
    fn other_bytes_are_no_image() {
        for bytes in [&b""[..], b"hello", b"GIF89a......", b"BM......"] {
            let kind = decode(bytes, &Limits::default()).expect_err("no image");
            assert!(matches!(kind, ProblemKind::NotAnImage { .. }), "{kind}");
        }
    }

    #[test]
    fn half_a_jpeg_is_broken() {
        let mut bytes = Vec::new();
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg).expect("encodable");
        assert!(decode(&bytes, &Limits::default()).is_ok());
        for length in [bytes.len() - 2, bytes.len() / 2, 30] {
            let kind = decode(&bytes[..length], &Limits::default()).expect_err("half");
            assert!(matches!(kind, ProblemKind::Corrupt(_)), "{kind}");
        }
    }
}
