//! PNG files with text chunks.

use std::io::Cursor;

use thiserror::Error;

use super::RgbImage;

/// The keyword that web interfaces for image models read and write.
const PARAMETERS: &str = "parameters";
/// The keyword of our own JSON.
const STRIDE: &str = "stride";

/// What a PNG file says about how its image was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PngMetadata {
    /// The text that other programs read: prompt, negative prompt, a line of `Key: value` pairs.
    pub parameters: Option<String>,
    /// One JSON object.
    pub json: Option<String>,
}

/// An image that cannot be written or a file that cannot be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The numbers of the image contradict each other.
    #[error(
        "image of {width}x{height}: expected 3 x {width} x {height} bytes, at least 3, found {found}"
    )]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Number of bytes.
        found: usize,
    },
    /// The image does not fit the format.
    #[error("cannot write a PNG file: {0}")]
    Encode(#[from] png::EncodingError),
    /// The bytes are no PNG file.
    #[error("not a readable PNG file: {0}")]
    Decode(#[from] png::DecodingError),
}

/// The bytes of a PNG file: 8-bit RGB, then text chunks.
///
/// The same image and metadata give the same bytes. A text goes into a `tEXt` chunk where it is
/// Latin-1 and into an `iTXt` chunk (UTF-8) otherwise. A zero inside a text, which the format
/// does not allow, becomes a space.
///
/// # Errors
/// The image has no pixels, or another number of them than its sides say.
pub fn png_bytes(image: &RgbImage, metadata: &PngMetadata) -> Result<Vec<u8>, ImageError> {
    let RgbImage { width, height, ref pixels } = *image;
    let (Ok(columns @ 1..), Ok(rows @ 1..)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(ImageError::Size { width, height, found: pixels.len() });
    };
    if u64::from(columns) * u64::from(rows) * 3 != pixels.len() as u64 {
        return Err(ImageError::Size { width, height, found: pixels.len() });
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in [(PARAMETERS, &metadata.parameters), (STRIDE, &metadata.json)] {
        let Some(text) = text else { continue };
        let text = text.replace('\0', " ");
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(keyword.to_owned(), text)?;
        } else {
            encoder.add_itxt_chunk(keyword.to_owned(), text)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Reads the text chunks of a PNG file, compressed or not.
///
/// # Errors
/// The bytes are no PNG file, or one that is cut short before its end.
pub fn read_png_metadata(bytes: &[u8]) -> Result<PngMetadata, ImageError> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info()?;
    // Text may stand behind the pixels.
    reader.finish()?;
    let info = reader.info();
    let find = |keyword: &str| {
        let latin = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == keyword);
        let packed = || info.compressed_latin1_text.iter().find(|chunk| chunk.keyword == keyword);
        let utf8 = || info.utf8_text.iter().find(|chunk| chunk.keyword == keyword);
        latin
            .map(|chunk| chunk.text.clone())
            .or_else(|| packed().and_then(|chunk| chunk.get_text().ok()))
            .or_else(|| utf8().and_then(|chunk| chunk.get_text().ok()))
    };
    Ok(PngMetadata { parameters: find(PARAMETERS), json: find(STRIDE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_in_any_script() {
        let image = RgbImage { width: 2, height: 2, pixels: (0..12).collect() };
        for prompt in ["a man with glasses", "ein Mann mit Hut, größer", "眼鏡の男"] {
            let metadata = PngMetadata {
                parameters: Some(format!("{prompt}\nSteps: 4, Seed: 1, Size: 2x2")),
                json: Some(format!("{{\"prompt\":\"{prompt}\"}}")),
            };
            let bytes = png_bytes(&image, &metadata).expect("writable");
            assert_eq!(read_png_metadata(&bytes).expect("readable"), metadata);
            assert_eq!(bytes, png_bytes(&image, &metadata).expect("writable"));
        }
        let plain = png_bytes(&image, &PngMetadata::default()).expect("writable");
        assert_eq!(read_png_metadata(&plain).expect("readable"), PngMetadata::default());
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(read_png_metadata(b"not an image").is_err());
        for (width, height, bytes) in [(0, 0, 0), (2, 2, 11), (usize::MAX, 1, 3)] {
            let image = RgbImage { width, height, pixels: vec![7; bytes] };
            assert!(png_bytes(&image, &PngMetadata::default()).is_err(), "{width}x{height}");
        }
        let image = RgbImage { width: 1, height: 1, pixels: vec![7; 3] };
        let metadata = PngMetadata { parameters: Some("a\0b".to_owned()), json: None };
        let good = png_bytes(&image, &metadata).expect("writable");
        assert_eq!(read_png_metadata(&good).expect("readable").parameters.as_deref(), Some("a b"));
        for end in 0..good.len() - 12 {
            assert!(read_png_metadata(&good[..end]).is_err(), "{end} bytes were accepted");
        }
    }
}
