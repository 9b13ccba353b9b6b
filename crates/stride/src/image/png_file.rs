//! PNG files with text chunks.

use std::io::Cursor;

use thiserror::Error;

use super::RgbImage;

/// The keyword that web interfaces for image models read and write.
const PARAMETERS: &str = "parameters";
/// The keyword of our own JSON.
const STRIDE: &str = "stride";

/// What a PNG file says about how its picture was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PngMetadata {
    /// The text that other programs read: prompt, negative prompt, a line of `Key: value` pairs.
    pub parameters: Option<String>,
    /// One JSON object.
    pub json: Option<String>,
}

/// A picture that cannot be written or a file that cannot be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The picture does not fit the format.
    #[error("cannot write a PNG file: {0}")]
    Encode(#[from] png::EncodingError),
    /// The bytes are no PNG file.
    #[error("not a readable PNG file: {0}")]
    Decode(#[from] png::DecodingError),
}

/// The bytes of a PNG file: 8-bit RGB, then text chunks.
///
/// The same picture and metadata give the same bytes. A text goes into a `tEXt` chunk where it is
/// Latin-1 and into an `iTXt` chunk (UTF-8) otherwise.
///
/// # Errors
/// The picture has no pixels.
pub fn png_bytes(image: &RgbImage, metadata: &PngMetadata) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in [(PARAMETERS, &metadata.parameters), (STRIDE, &metadata.json)] {
        let Some(text) = text else { continue };
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(keyword.to_owned(), text.clone())?;
        } else {
            encoder.add_itxt_chunk(keyword.to_owned(), text.clone())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Reads the text chunks of a PNG file.
///
/// # Errors
/// The bytes are no PNG file.
pub fn read_png_metadata(bytes: &[u8]) -> Result<PngMetadata, ImageError> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info()?;
    // Text may stand behind the pixels.
    reader.finish()?;
    let info = reader.info();
    let find = |keyword: &str| {
        let latin = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == keyword);
        let utf8 = || info.utf8_text.iter().find(|chunk| chunk.keyword == keyword);
        latin.map(|chunk| chunk.text.clone()).or_else(|| utf8().and_then(|chunk| chunk.get_text().ok()))
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
        assert!(read_png_metadata(b"not a picture").is_err());
        assert!(png_bytes(&RgbImage { width: 0, height: 0, pixels: vec![] }, &PngMetadata::default()).is_err());
    }
}
