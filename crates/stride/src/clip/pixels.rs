//! Pictures as CLIP's image encoder wants them.

use burn::tensor::{Device, Tensor, TensorData};

use crate::image::RgbImage;

/// Mean of red, green and blue over CLIP's training pictures, in [0, 1].
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Their standard deviation.
const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
/// Bits behind the point of Pillow's weights.
const PRECISION: u32 = 22;
/// Half-width of the cubic, in pixels of the smaller grid.
const SUPPORT: f64 = 2.0;

/// A picture of any size as the input of a CLIP image encoder, `[1, 3, side, side]`.
///
/// The shorter edge becomes `side` by cubic resampling, the middle square is cut out, and every channel is normalised
/// as (v / 255 - mean) / std.
///
/// # Errors
/// None; a picture without pixels gives black.
///
/// # Source
/// OpenAI CLIP `_transform`; resampling as Pillow does it on bytes (`Image.resize` with BICUBIC), rows first, with
/// rounding to bytes in between, so that the numbers are those of `transformers.CLIPImageProcessor` on Pillow.
pub fn clip_pixels(picture: &RgbImage, side: usize, device: &Device) -> Tensor<4> {
    let square = middle_square(picture, side);
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
fn middle_square(picture: &RgbImage, side: usize) -> Vec<u8> {
    let (width, height) = (picture.width, picture.height);
    if width * height == 0 || picture.pixels.len() != 3 * width * height {
        return vec![0; 3 * side * side];
    }
    let longer = |long: usize, short: usize| side * long / short;
    let (new_width, new_height) = match width <= height {
        true => (side, longer(height, width)),
        false => (longer(width, height), side),
    };
    let rows = across(&picture.pixels, width, new_width);
    let resized = down(&rows, new_width, height, new_height);
    let (left, top) = ((new_width - side) / 2, (new_height - side) / 2);
    let row = |y: usize| &resized[3 * ((top + y) * new_width + left)..][..3 * side];
    (0..side).flat_map(row).copied().collect()
}

/// Source pixels and weights, in units of 2^-22, of one target pixel.
struct Tap {
    first: usize,
    weights: Vec<i64>,
}

/// The taps that turn `from` pixels into `to`.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    let tap = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        let first = (center - SUPPORT * widening + 0.5).max(0.0) as usize;
        let end = ((center + SUPPORT * widening + 0.5) as usize).min(from);
        let weight = |pixel: usize| cubic((pixel as f64 - center + 0.5) / widening);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / sum * f64::from(1 << PRECISION)).round() as i64;
        Tap { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

/// Keys' cubic with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match x {
        _ if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        _ if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// The weighted sum of bytes `stride` apart, rounded to a byte.
fn blend(pixels: &[u8], stride: usize, tap: &Tap) -> u8 {
    let pixels = pixels.iter().step_by(stride).map(|&pixel| i64::from(pixel));
    let sum: i64 = pixels.zip(&tap.weights).map(|(pixel, weight)| pixel * weight).sum();
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

fn across(pixels: &[u8], width: usize, new_width: usize) -> Vec<u8> {
    if width == new_width {
        return pixels.to_vec();
    }
    let taps = taps(width, new_width);
    let mut out = Vec::with_capacity(pixels.len() / width * new_width);
    for row in pixels.chunks_exact(3 * width) {
        for tap in &taps {
            out.extend((0..3).map(|channel| blend(&row[3 * tap.first + channel..], 3, tap)));
        }
    }
    out
}

fn down(pixels: &[u8], width: usize, height: usize, new_height: usize) -> Vec<u8> {
    if height == new_height {
        return pixels.to_vec();
    }
    let row = 3 * width;
    let mut out = Vec::with_capacity(row * new_height);
    for tap in taps(height, new_height) {
        out.extend((0..row).map(|place| blend(&pixels[tap.first * row + place..], row, &tap)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_stays_flat_and_a_square_is_cut_from_the_middle() {
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
