//! The square of a picture, resized as Pillow does it.

use image::{RgbImage, imageops};

/// Which pixels make a new one; both are widened by the scale where the picture shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Cubic of radius 2 with a = -0.5.
    #[default]
    Bicubic,
    /// A triangle of radius 1.
    Bilinear,
}

/// Bits behind the point of a weight: 32, less 8 of the pixel and 2 for sums beyond white.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Crops the central square of the smaller side and resizes it to `resolution` x `resolution`.
///
/// An odd pixel too many stays at the right or bottom. An empty picture gives a black square.
///
/// Each direction by itself, across first: `out[i] = sum_k w(i, k) in[k]`, with
/// `w(i, k) = f((k + 0.5 - (i + 0.5) s) / max(s, 1))` divided by its sum over k, s = old / new side,
/// f the filter. Weights have 22 bits behind the point, and each pass is rounded to 8 bits.
///
/// Source: Pillow, `src/libImaging/Resample.c`, equal to the last bit.
pub fn square(image: &RgbImage, resolution: usize, filter: Filter) -> RgbImage {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let target = u32::try_from(resolution).unwrap_or(u32::MAX);
    if side == 0 || target == 0 {
        return RgbImage::new(target, target);
    }
    let cropped = imageops::crop_imm(image, left, top, side, side).to_image();
    if side == target {
        return cropped;
    }
    let taps = filter.taps(side as usize, resolution);
    let rows = across(cropped.as_raw(), side as usize, &taps);
    let pixels = down(&rows, resolution * 3, &taps);
    RgbImage::from_raw(target, target, pixels).expect("a row for each tap, of a pixel for each tap")
}

/// First source pixel and weights of one target pixel.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

impl Filter {
    fn radius(self) -> f64 {
        match self {
            Self::Bicubic => 2.0,
            Self::Bilinear => 1.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        match (self, x.abs()) {
            (Self::Bilinear, x) if x < 1.0 => 1.0 - x,
            (Self::Bicubic, x) if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            (Self::Bicubic, x) if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }

    fn taps(self, from: usize, to: usize) -> Vec<Tap> {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = self.radius() * stretch;
        let inverse = 1.0 / stretch;
        let tap = |target: usize| {
            let center = (target as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            let raw: Vec<f64> = (first..end)
                .map(|pixel| self.at((pixel as f64 - center + 0.5) * inverse))
                .collect();
            let sum: f64 = raw.iter().sum();
            Tap { first, weights: raw.iter().map(|weight| fixed(weight / sum)).collect() }
        };
        (0..to).map(tap).collect()
    }
}

fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (scaled + 0.5f64.copysign(scaled)) as i32
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn round(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Resizes each row of `width` pixels.
fn across(pixels: &[u8], width: usize, taps: &[Tap]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width * taps.len());
    for row in pixels.chunks_exact(width * 3) {
        for tap in taps {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in row[tap.first * 3..].chunks_exact(3).zip(&tap.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.map(round));
        }
    }
    out
}

/// Makes a row for each tap from rows of `length` samples.
fn down(rows: &[u8], length: usize, taps: &[Tap]) -> Vec<u8> {
    let mut out = Vec::with_capacity(length * taps.len());
    let mut sums = vec![HALF; length];
    for tap in taps {
        sums.fill(HALF);
        for (row, &weight) in rows[tap.first * length..].chunks_exact(length).zip(&tap.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().copied().map(round));
    }
    out
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn flat_pictures_stay_flat_and_equal_sizes_stay_equal() {
        let flat = RgbImage::from_pixel(37, 23, Rgb([7, 130, 255]));
        for filter in [Filter::Bicubic, Filter::Bilinear] {
            for side in [1, 8, 23, 50] {
                let out = square(&flat, side, filter);
                assert_eq!(out.dimensions(), (side as u32, side as u32));
                assert!(out.pixels().all(|p| p.0 == [7, 130, 255]), "{filter:?} {side}");
            }
        }
    }

    #[test]
    fn the_middle_is_kept() {
        let wide = RgbImage::from_fn(11, 4, |x, y| Rgb([x as u8, y as u8, 0]));
        let out = square(&wide, 4, Filter::Bicubic);
        assert_eq!(out.get_pixel(0, 0).0, [3, 0, 0]);
        assert_eq!(out.get_pixel(3, 3).0, [6, 3, 0]);
        let tall = RgbImage::from_fn(4, 10, |x, y| Rgb([x as u8, y as u8, 0]));
        assert_eq!(square(&tall, 4, Filter::Bilinear).get_pixel(0, 0).0, [0, 3, 0]);
    }

    #[test]
    fn nothing_is_black() {
        assert!(square(&RgbImage::new(0, 5), 3, Filter::Bicubic).pixels().all(|p| p.0 == [0; 3]));
        assert_eq!(square(&RgbImage::new(5, 5), 0, Filter::Bicubic).dimensions(), (0, 0));
    }
}
