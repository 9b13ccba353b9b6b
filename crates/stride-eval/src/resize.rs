//! The resizes of the field's packages, on planes of f32.

use stride::image::{Filter, Tap};

/// Which pixels make a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Two neighbours a direction, pixels as squares: `torch.nn.functional.interpolate` with
    /// `align_corners=False`, and `jax.image.resize` without antialias.
    Bilinear,
    /// Two neighbours a direction, pixels as points from the top left: TensorFlow 1.
    BilinearTf1,
    /// Cubic (a = -0.5), widened by the scale where the image shrinks: Pillow.
    BicubicAntialias,
}

impl Resize {
    /// Resizes a plane of `height` x `width` to `side` x `side`, rows of the result after each other.
    ///
    /// # Panics
    /// The plane has no pixels or another number of them: the caller's to fix.
    pub fn apply(self, plane: &[f32], height: usize, width: usize, side: usize) -> Vec<f32> {
        assert!(!plane.is_empty() && plane.len() == height * width, "pixels of the plane");
        let across = self.taps(width, side);
        let down = self.taps(height, side);
        let mut rows = Vec::with_capacity(height * side);
        for row in plane.chunks_exact(width) {
            rows.extend(across.iter().map(|tap| {
                let pixels = &row[tap.first..][..tap.weights.len()];
                pixels.iter().zip(&tap.weights).map(|(p, w)| p * w).sum::<f32>()
            }));
        }
        let mut out = vec![0.0; side * side];
        for (tap, line) in down.iter().zip(out.chunks_exact_mut(side)) {
            for (offset, weight) in tap.weights.iter().enumerate() {
                let row = &rows[(tap.first + offset) * side..][..side];
                for (value, pixel) in line.iter_mut().zip(row) {
                    *value += weight * pixel;
                }
            }
        }
        out
    }

    fn taps(self, from: usize, to: usize) -> Vec<Tap<f32>> {
        let scale = from as f64 / to as f64;
        let place: fn(f64, f64) -> f64 = match self {
            Self::Bilinear => |target, scale| ((target + 0.5) * scale - 0.5).max(0.0),
            Self::BilinearTf1 => |target, scale| target * scale,
            Self::BicubicAntialias => {
                let narrow = |tap: Tap<f64>| Tap {
                    first: tap.first,
                    weights: tap.weights.into_iter().map(|weight| weight as f32).collect(),
                };
                return Filter::Bicubic.taps(from, to).into_iter().map(narrow).collect();
            }
        };
        (0..to).map(|target| linear(place(target as f64, scale), from)).collect()
    }
}

/// The two pixels around a place.
fn linear(place: f64, from: usize) -> Tap<f32> {
    let first = (place as usize).min(from - 1);
    if first + 1 == from {
        return Tap { first, weights: vec![1.0] };
    }
    let fraction = (place - first as f64) as f32;
    Tap { first, weights: vec![1.0 - fraction, fraction] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_images_stay_flat_and_equal_sizes_stay_equal() {
        let plane: Vec<f32> = (0..49).map(|i| (i * 5 % 17) as f32).collect();
        for resize in [Resize::Bilinear, Resize::BilinearTf1, Resize::BicubicAntialias] {
            for side in [3, 7, 20] {
                let flat = resize.apply(&[2.5; 49], 7, 7, side);
                assert!(flat.iter().all(|v| (v - 2.5).abs() < 1e-5), "{resize:?} {side}");
            }
            let same = resize.apply(&plane, 7, 7, 7);
            let error = same.iter().zip(&plane).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-5, "{resize:?}: {error}");
        }
    }
}
