//! Images as CLIP's image encoder wants them.

use burn::tensor::{Device, Tensor, TensorData};

use crate::image::{Filter, RgbImage, resize};

/// Mean of red, green and blue over CLIP's training images, in [0, 1].
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Their standard deviation.
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// An image of any size as the input of a CLIP image encoder, `[1, 3, side, side]`.
///
/// The shorter edge becomes `side` by cubic resampling, the middle square is cut out, and every channel is normalised
/// as (v / 255 - mean) / std.
///
/// # Errors
/// None; an image without pixels gives black.
///
/// # Source
/// OpenAI CLIP `_transform`; resampling as Pillow does it on bytes (`Image.resize` with BICUBIC), rows first, with
/// rounding to bytes in between, so that the numbers are those of `transformers.CLIPImageProcessor` on Pillow.
pub fn clip_pixels(image: &RgbImage, side: usize, device: &Device) -> Tensor<4> {
    let square = middle_square(image, side);
    let plane = side * side;
    let mut values = vec![0.0; 3 * plane];
    for (place, pixel) in square.chunks_exact(3).enumerate() {
        for channel in 0..3 {
            let value = f32::from(pixel[channel]) / 255.0;
            values[channel * plane + place] = (value - MEAN[channel]) / STD[channel];
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 3, side, side]), device)
}

/// The bytes of the middle square, `[side, side, 3]`.
fn middle_square(image: &RgbImage, side: usize) -> Vec<u8> {
    let (width, height) = (image.width, image.height);
    if width * height * side == 0 || image.pixels.len() != 3 * width * height {
        return vec![0; 3 * side * side];
    }
    let longer = |long: usize, short: usize| side * long / short;
    let (new_width, new_height) =
        if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) };
    let resized = resize(&image.pixels, (width, height), (new_width, new_height), Filter::Bicubic);
    let (left, top) = ((new_width - side) / 2, (new_height - side) / 2);
    let row = |y: usize| &resized[3 * ((top + y) * new_width + left)..][..3 * side];
    (0..side).flat_map(row).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_image_stays_flat_and_a_square_is_cut_from_the_middle() {
        let flat = RgbImage { width: 31, height: 17, pixels: [10, 100, 250].repeat(31 * 17) };
        assert_eq!(middle_square(&flat, 8), [10, 100, 250].repeat(64));
        // Columns 0, 1, 2, 3 of brightness; nothing is resized, the middle two stay.
        let column = |x: u8| [x; 3];
        let pixels = (0..2).flat_map(|_| (0..4).flat_map(column)).collect();
        let stripes = RgbImage { width: 4, height: 2, pixels };
        assert_eq!(middle_square(&stripes, 2), [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
        let empty = RgbImage { width: 0, height: 5, pixels: Vec::new() };
        assert_eq!(clip_pixels(&empty, 4, &Device::flex()).dims(), [1, 3, 4, 4]);
    }
}
