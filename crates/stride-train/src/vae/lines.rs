//! Weights that make the error of thin dark lines count.

use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, TensorData};

/// Side of the square of pixels that closing works with: what is dark and holds no such square is a line.
const SQUARE: usize = 5;
/// What red, green and blue add to luma, as in Rec. 601.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// How much the error of every pixel of these images counts: more on thin dark lines.
///
/// `w = (1 + k h) / mean(1 + k h)` with `h = closing(y) - y`, the black top-hat transform of the luma `y`
/// in [0, 1]: its closing, a dilation (maximum over 5x5 pixels) and then an erosion (minimum), fills whatever is dark
/// and at most 4 pixels thin, and leaves broad shapes as they are. So `h` is the contrast of a line with what
/// surrounds it, and 0 elsewhere.
///
/// `[B, 3, H, W]` in [-1, 1] to `[B, 1, H, W]`; `k` is `strength`, at least 0. The mean over each image is 1, so that the
/// weights of the other terms of a loss keep their meaning.
///
/// # Source
/// Serra, Image Analysis and Mathematical Morphology (1982), for the transform.
pub(super) fn line_weights(images: &Tensor<4>, strength: f64) -> Tensor<4> {
    let luma = TensorData::new(LUMA.map(|part| 0.5 * part).to_vec(), [1, 3, 1, 1]);
    let luma = images.clone().mul(Tensor::from_data(luma, &images.device())).sum_dim(1);
    let closing = largest(largest(luma.clone()).neg()).neg();
    let weights = closing.sub(luma).mul_scalar(strength).add_scalar(1.0);
    let mean = weights.clone().mean_dim(3).mean_dim(2);
    weights.div(mean)
}

/// The largest value of the square around every pixel, as far as it lies in the image: rows first, then columns.
fn largest(x: Tensor<4>) -> Tensor<4> {
    let over = |x, kernel: [usize; 2]| {
        let padding = kernel.map(|side| side / 2);
        max_pool2d(x, MaxPoolOptions::new(kernel).with_stride([1, 1]).with_padding(padding))
    };
    over(over(x, [1, SQUARE]), [SQUARE, 1])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// The weights at strength 8 of a 32x32 image that is bright but for a dark rectangle, relative to those of bright
    /// pixels: on the rectangle's middle, and beside it.
    fn of_rectangle(height: usize, width: usize) -> [f32; 2] {
        let bright = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
        let dark = Tensor::zeros([1, 3, height, width], &Device::flex());
        let image = bright.slice_assign([0..1, 0..3, 8..8 + height, 8..8 + width], dark);
        let weights = line_weights(&image, 8.0).into_data();
        let weights = weights.as_slice::<f32>().expect("f32");
        let mean = weights.iter().sum::<f32>() / weights.len() as f32;
        assert!((mean - 1.0).abs() < 1e-4, "{mean}");
        let at = |y: usize, x: usize| weights[32 * y + x] / weights[0];
        [at(8 + height / 2, 8 + width / 2), at(7, 7)]
    }

    #[test]
    fn thin_dark_lines_count_more_and_broad_shapes_do_not() {
        // A luma of 0.5 below that of the surroundings: 1 + 8 * 0.5.
        for (height, width) in [(1, 20), (2, 20), (20, 1), (20, 4)] {
            let [on, beside] = of_rectangle(height, width);
            assert!((on - 5.0).abs() < 1e-4 && (beside - 1.0).abs() < 1e-4, "{on} {beside}");
        }
        for (height, width) in [(5, 20), (12, 12)] {
            let [on, beside] = of_rectangle(height, width);
            assert!((on - 1.0).abs() < 1e-4 && (beside - 1.0).abs() < 1e-4, "{on} {beside}");
        }
    }

    #[test]
    fn bright_lines_and_plain_images_have_the_weights_of_nothing() {
        let plain = Tensor::<4>::full([2, 3, 16, 16], -0.3, &Device::flex());
        let line = Tensor::<4>::full([2, 3, 16, 2], 0.8, &Device::flex());
        let bright = plain.clone().slice_assign([0..2, 0..3, 0..16, 6..8], line);
        for image in [plain, bright] {
            let error = line_weights(&image, 8.0).sub_scalar(1.0).abs().max().into_scalar::<f32>();
            assert!(error < 1e-6, "{error}");
        }
    }
}
