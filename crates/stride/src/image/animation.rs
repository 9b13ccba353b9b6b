//! Animated WebP.

use super::error::ImageError;
use super::file::image_bytes;
use super::metadata::{ImageFormat, ImageMetadata};
use super::rgb::RgbImage;

/// The largest side of an image in a WebP file.
const MOST_SIDE: usize = 16_384;
/// Flags of the file: it is animated; of a frame: its pixels replace those before them.
const ANIMATED: u8 = 0b10;
const REPLACES: u8 = 0b10;

/// An animated WebP file that shows lossless frames of the same size, each for some milliseconds, and begins again.
///
/// # Errors
/// There are no frames, or they differ in size; or one cannot be written.
///
/// # Source
/// WebP Container Specification (RFC 9649, section 2.7). The library that writes the frames writes no animations.
pub fn animated_webp(frames: &[RgbImage], milliseconds: u32) -> Result<Vec<u8>, ImageError> {
    let first = frames.first().ok_or(ImageError::Frames)?;
    let (width, height) = (first.width, first.height);
    let differs = |frame: &RgbImage| (frame.width, frame.height) != (width, height);
    if frames.iter().any(differs) || width.max(height) > MOST_SIDE || width.min(height) == 0 {
        return Err(ImageError::Frames);
    }
    let sides = [three_bytes(width as u32 - 1), three_bytes(height as u32 - 1)].concat();
    let mut body = b"WEBP".to_vec();
    push_chunk(&mut body, b"VP8X", &[&[ANIMATED, 0, 0, 0], &sides[..]].concat());
    // A white background, and no end of repetitions.
    push_chunk(&mut body, b"ANIM", &[255, 255, 255, 255, 0, 0]);
    for frame in frames {
        let file = image_bytes(frame, ImageFormat::Webp, 100, &ImageMetadata::default())?;
        let corner = [0; 6];
        let time = three_bytes(milliseconds);
        // A file without text is one chunk behind its twelve bytes.
        let parts = [&corner, &sides[..], &time, &[REPLACES], &file[12..]];
        push_chunk(&mut body, b"ANMF", &parts.concat());
    }
    let mut bytes = Vec::with_capacity(body.len() + 8);
    push_chunk(&mut bytes, b"RIFF", &body);
    Ok(bytes)
}

/// Appends a chunk: name, length, content, and a zero where the length is odd.
fn push_chunk(bytes: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
    bytes.extend_from_slice(content);
    if content.len() % 2 == 1 {
        bytes.push(0);
    }
}

fn three_bytes(number: u32) -> [u8; 3] {
    let [low, middle, high, _] = number.to_le_bytes();
    [low, middle, high]
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use image::AnimationDecoder as _;
    use image::codecs::webp::WebPDecoder;

    use super::*;

    #[test]
    fn frames_are_read_back() {
        // Of different lengths, odd ones too.
        let frame = |k: usize| RgbImage {
            width: 5,
            height: 3,
            pixels: (0..45).map(|i| (i * k * k * 7) as u8).collect(),
        };
        let frames: Vec<RgbImage> = (0..5).map(frame).collect();
        let bytes = animated_webp(&frames, 80).expect("writable");
        let decoder = WebPDecoder::new(Cursor::new(&bytes)).expect("WebP");
        assert!(decoder.has_animation());
        let read = decoder.into_frames().collect_frames().expect("frames");
        assert_eq!(read.len(), frames.len());
        for (read, frame) in read.into_iter().zip(&frames) {
            assert_eq!(Duration::from(read.delay()), Duration::from_millis(80));
            let pixels = image::DynamicImage::from(read.into_buffer()).into_rgb8().into_raw();
            assert_eq!(pixels, frame.pixels);
        }
    }

    #[test]
    fn frames_that_are_no_animation_are_refused() {
        let frame = |width: usize| RgbImage { width, height: 1, pixels: vec![7; 3 * width] };
        for frames in [vec![], vec![frame(1), frame(2)], vec![frame(0)], vec![frame(20_000)]] {
            assert!(animated_webp(&frames, 80).is_err());
        }
    }
}
