//! The encoder that preparation needs.

use half::f16;
use stride::image::signed_unit;

use super::shard::LatentShape;
use crate::ContentHash;

/// An encoder for square images of one size.
pub trait LatentEncoder {
    /// Height and width of the images.
    fn resolution(&self) -> usize;

    /// Shape of a latent.
    fn latent_shape(&self) -> LatentShape;

    /// Whether it also returns log-variances.
    fn is_variational(&self) -> bool;

    /// Hash of everything in it that determines the latents, such as configuration and weights.
    fn identity(&self) -> ContentHash;

    /// Its compute dtype: `f32` or `bf16`.
    fn dtype(&self) -> &'static str;

    /// Images to encode in one batch.
    fn batch_size(&self) -> usize;

    /// Pixels `[B, 3, H, W]` in [-1, 1] to moments `[B, M, C, h, w]`: the latents as the transformer
    /// sees them (scaled), or, with M = 2, their mean and then the logarithm of their variance.
    fn encode(&self, pixels: Vec<f32>) -> Vec<f32>;
}

/// Writes `resolution^2` pixels of R, G, B as planes in [-1, 1], mirrored left to right if asked.
pub(super) fn write_planes(rgb: &[u8], resolution: usize, mirrored: bool, out: &mut Vec<f32>) {
    for channel in 0..3 {
        for row in rgb.chunks_exact(3 * resolution) {
            let value = |column: usize| signed_unit(row[3 * column + channel]);
            if mirrored {
                out.extend((0..resolution).rev().map(value));
            } else {
                out.extend((0..resolution).map(value));
            }
        }
    }
}

/// Appends the values as little-endian f16; the error is the first one that f16 cannot hold.
pub(super) fn to_half(values: &[f32], out: &mut Vec<u8>) -> Result<(), f32> {
    for &value in values {
        let half = f16::from_f32(value);
        if !half.is_finite() {
            return Err(value);
        }
        out.extend(half.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_mirrored_in_every_row() {
        let rgb = [0, 51, 102, 255, 204, 153, 0, 0, 0, 255, 255, 255];
        let planes = |mirrored| {
            let mut out = Vec::new();
            write_planes(&rgb, 2, mirrored, &mut out);
            out.iter().map(|v| ((v + 1.0) * 127.5).round() as u8).collect::<Vec<_>>()
        };
        assert_eq!(planes(false), [0, 255, 0, 255, 51, 204, 0, 255, 102, 153, 0, 255]);
        assert_eq!(planes(true), [255, 0, 255, 0, 204, 51, 255, 0, 153, 102, 255, 0]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut out = Vec::new();
        assert_eq!(to_half(&[1.0, -2.5], &mut out), Ok(()));
        assert_eq!(out, [0x00, 0x3c, 0x00, 0xc1]);
        assert_eq!(to_half(&[0.0, 1e6], &mut out), Err(1e6));
        assert!(to_half(&[f32::NAN], &mut out).is_err());
    }
}
