//! Resizing of bytes as Pillow does it.

/// Which pixels make a new one; both are widened by the scale where the image shrinks.
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

/// Resizes `[height, width, 3]` bytes from `(width, height)` to `(width, height)`.
///
/// Each direction by itself, across first: `out[i] = sum_k w(i, k) in[k]`, with
/// `w(i, k) = f((k + 0.5 - (i + 0.5) s) / max(s, 1))` divided by its sum over k, s = old / new length,
/// f the filter. Weights have 22 bits behind the point, and each pass is rounded to 8 bits. A
/// direction of equal lengths is left alone.
///
/// # Panics
/// A length is 0, or the bytes are not those of an image of the first size: the caller's to fix.
///
/// # Source
/// Pillow, `src/libImaging/Resample.c`.
pub fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), filter: Filter) -> Vec<u8> {
    let ((width, height), (new_width, new_height)) = (from, to);
    assert!(width * height * new_width * new_height > 0, "resize: {from:?} to {to:?}");
    assert_eq!(pixels.len(), 3 * width * height, "resize: bytes of an image of {from:?}");
    let rows = if width == new_width {
        pixels.to_vec()
    } else {
        across(pixels, width, &filter.fixed_taps(width, new_width))
    };
    if height == new_height {
        rows
    } else {
        down(&rows, 3 * new_width, &filter.fixed_taps(height, new_height))
    }
}

/// What one target pixel is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Tap<W> {
    /// The first source pixel.
    pub first: usize,
    /// The weights of it and those after it.
    pub weights: Vec<W>,
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

    /// The weights of every one of `to` pixels over `from`, as in [`resize`]; those of a pixel sum to 1.
    pub fn taps(self, from: usize, to: usize) -> Vec<Tap<f64>> {
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
            Tap { first, weights: raw.iter().map(|weight| weight / sum).collect() }
        };
        (0..to).map(tap).collect()
    }

    /// [`Self::taps`] with 22 bits behind the point.
    fn fixed_taps(self, from: usize, to: usize) -> Vec<Tap<i32>> {
        let taps = self.taps(from, to).into_iter();
        let fix = |tap: Tap<f64>| Tap {
            first: tap.first,
            weights: tap.weights.into_iter().map(fixed).collect(),
        };
        taps.map(fix).collect()
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
fn across(pixels: &[u8], width: usize, taps: &[Tap<i32>]) -> Vec<u8> {
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
fn down(rows: &[u8], length: usize, taps: &[Tap<i32>]) -> Vec<u8> {
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
    use super::*;

    #[test]
    fn flat_images_stay_flat_and_equal_sizes_stay_equal() {
        let flat = [7, 130, 255].repeat(37 * 23);
        for filter in [Filter::Bicubic, Filter::Bilinear] {
            for (width, height) in [(1, 1), (8, 50), (37, 9), (80, 23)] {
                let out = resize(&flat, (37, 23), (width, height), filter);
                assert_eq!(out, [7, 130, 255].repeat(width * height), "{filter:?}");
            }
            let noise: Vec<u8> = (0..3 * 6 * 5).map(|i| (i * 89 % 251) as u8).collect();
            assert_eq!(resize(&noise, (6, 5), (6, 5), filter), noise);
        }
    }

    #[test]
    fn both_directions_are_treated_alike() {
        let side = 9;
        let pixel = |x: usize, y: usize| [(20 * x) as u8, (20 * y) as u8, 0];
        let pixels: Vec<u8> =
            (0..side).flat_map(|y| (0..side).flat_map(move |x| pixel(x, y))).collect();
        let out = resize(&pixels, (side, side), (4, 4), Filter::Bicubic);
        for x in 0..4 {
            for y in 0..4 {
                assert_eq!(out[3 * (4 * y + x)], out[3 * (4 * x + y) + 1], "{x} {y}");
            }
        }
    }
}
