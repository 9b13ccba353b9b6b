//! PNG files with text chunks.

use std::io::Cursor;

use super::error::ImageError;
use super::metadata::{ImageFile, ImageFormat, ImageMetadata};
use super::rgb::RgbImage;

/// The keyword that web interfaces for image models read and write.
const PARAMETERS: &str = "parameters";
/// The keyword of our own JSON.
const STRIDE: &str = "stride";

/// The bytes of a PNG file: 8-bit RGB, then text chunks.
///
/// The same image and metadata give the same bytes. A text goes into a `tEXt` chunk where it is
/// Latin-1 and nothing else, and into an `iTXt` chunk (UTF-8) otherwise. A zero inside a text, which the format
/// does not allow, becomes a space.
///
/// # Errors
/// The image has no pixels, or another number of them than its sides say.
pub fn png_bytes(image: &RgbImage, metadata: &ImageMetadata) -> Result<Vec<u8>, ImageError> {
    let [columns, rows] = image.checked_sides()?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    for (keyword, text) in [(PARAMETERS, &metadata.parameters), (STRIDE, &metadata.json)] {
        let Some(text) = text else { continue };
        let text = text.replace('\0', " ");
        // A reader would take Latin-1 that is also UTF-8 for UTF-8.
        if text.chars().all(|c| u32::from(c) < 256) && utf8_in_latin1(&text).is_none() {
            encoder.add_text_chunk(keyword.to_owned(), text)?;
        } else {
            encoder.add_itxt_chunk(keyword.to_owned(), text)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// What a PNG file says about how its image was made, and keyword and text of every other text chunk.
///
/// # Errors
/// The bytes are no PNG file, or one that is cut short before its end.
pub(super) fn read_png(bytes: &[u8]) -> Result<ImageFile, ImageError> {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info()?;
    // Text may stand behind the pixels.
    reader.finish()?;
    let (width, height) = reader.info().size();
    let mut texts = texts(reader.info());
    let find = |keyword: &str| {
        texts.iter().find(|(found, _)| found == keyword).map(|(_, text)| text.clone())
    };
    let metadata = ImageMetadata { parameters: find(PARAMETERS), json: find(STRIDE) };
    texts.retain(|(keyword, _)| keyword != PARAMETERS && keyword != STRIDE);
    Ok(ImageFile { format: ImageFormat::Png, width, height, metadata, other_texts: texts })
}

/// Keyword and text of every text chunk of a PNG file, compressed or not: `tEXt`, then `zTXt`, then `iTXt`.
///
/// `tEXt` is Latin-1 by the format, but many programs write UTF-8 there; a text that is UTF-8 beyond ASCII is read
/// so. Texts that cannot be unpacked are left out.
fn texts(info: &png::Info<'_>) -> Vec<(String, String)> {
    let latin = info
        .uncompressed_latin1_text
        .iter()
        .map(|chunk| (&chunk.keyword, utf8_in_latin1(&chunk.text).unwrap_or(chunk.text.clone())));
    let packed = info
        .compressed_latin1_text
        .iter()
        .filter_map(|chunk| chunk.get_text().ok().map(|text| (&chunk.keyword, text)));
    let utf8 = info
        .utf8_text
        .iter()
        .filter_map(|chunk| chunk.get_text().ok().map(|text| (&chunk.keyword, text)));
    latin.chain(packed).chain(utf8).map(|(keyword, text)| (keyword.clone(), text)).collect()
}

/// The text whose UTF-8 bytes were taken for Latin-1, if there is anything beyond ASCII.
fn utf8_in_latin1(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_in_any_script() {
        let image = RgbImage { width: 2, height: 2, pixels: (0..12).collect() };
        for prompt in ["a man with glasses", "ein Mann mit Hut, größer", "Ã¶", "眼鏡の男"] {
            let metadata = ImageMetadata {
                parameters: Some(format!("{prompt}\nSteps: 4, Seed: 1, Size: 2x2")),
                json: Some(format!("{{\"prompt\":\"{prompt}\"}}")),
            };
            let bytes = png_bytes(&image, &metadata).expect("writable");
            assert_eq!(read_png(&bytes).expect("readable").metadata, metadata);
            assert_eq!(bytes, png_bytes(&image, &metadata).expect("writable"));
        }
        let plain = png_bytes(&image, &ImageMetadata::default()).expect("writable");
        assert_eq!(read_png(&plain).expect("readable").metadata, ImageMetadata::default());
    }

    #[test]
    fn utf8_in_a_latin1_chunk_is_read() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        // What other programs do: the bytes of UTF-8, one character each.
        let stored = |text: &str| text.bytes().map(char::from).collect::<String>();
        encoder.add_text_chunk(PARAMETERS.to_owned(), stored("größer 眼鏡")).expect("Latin-1");
        encoder.add_text_chunk("workflow".to_owned(), "{}".to_owned()).expect("ASCII");
        let mut writer = encoder.write_header().expect("writable");
        writer.write_image_data(&[0]).expect("one pixel");
        writer.finish().expect("writable");
        let file = read_png(&bytes).expect("readable");
        assert_eq!(file.metadata.parameters.as_deref(), Some("größer 眼鏡"));
        assert_eq!(file.other_texts, [("workflow".to_owned(), "{}".to_owned())]);
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(read_png(b"not an image").is_err());
        for (width, height, bytes) in [(0, 0, 0), (2, 2, 11), (usize::MAX, 1, 3)] {
            let image = RgbImage { width, height, pixels: vec![7; bytes] };
            assert!(png_bytes(&image, &ImageMetadata::default()).is_err(), "{width}x{height}");
        }
        let image = RgbImage { width: 1, height: 1, pixels: vec![7; 3] };
        let metadata = ImageMetadata { parameters: Some("a\0b".to_owned()), json: None };
        let good = png_bytes(&image, &metadata).expect("writable");
        assert_eq!(read_png(&good).expect("readable").metadata.parameters.as_deref(), Some("a b"));
        for end in 0..good.len() - 12 {
            assert!(read_png(&good[..end]).is_err(), "{end} bytes were accepted");
        }
    }
}
