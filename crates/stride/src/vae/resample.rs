//! Moving numbers between positions and channels, without weights.

use burn::tensor::Tensor;

/// `[B, C, H, W]`, as images and latents are outside, to `[B, H, W, C]`, as layers take them.
pub(super) fn channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}

/// Undoes [`channels_last`].
pub(super) fn channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// Repeats every position `factor` x `factor` times: `[B, C, H, W]` to `[B, C, fH, fW]`.
pub(super) fn upsample_nearest(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h, 1, w, 1]).expand([b, c, h, factor, w, factor]).reshape([
        b,
        c,
        h * factor,
        w * factor,
    ])
}

/// Means over squares of side `factor`: `[B, C, fH, fW]` to `[B, C, H, W]`.
pub(super) fn downsample_mean(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h / factor, factor, w / factor, factor]).mean_dim(3).mean_dim(5).reshape([
        b,
        c,
        h / factor,
        w / factor,
    ])
}

/// Squares of pixels to channels: `[B, C, fH, fW]` to `[B, C f f, H, W]`, channels in the order
/// of PyTorch's `pixel_unshuffle`.
pub(super) fn pixel_unshuffle(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, h / factor, factor, w / factor, factor]).permute([0, 1, 3, 5, 2, 4]).reshape([
        b,
        c * factor * factor,
        h / factor,
        w / factor,
    ])
}

/// Channels to squares of pixels, undoing [`pixel_unshuffle`].
pub(super) fn pixel_shuffle(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let c = c / (factor * factor);
    x.reshape([b, c, factor, factor, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([
        b,
        c,
        h * factor,
        w * factor,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    fn ramp(shape: [usize; 4]) -> Tensor<4> {
        let count = shape.iter().product::<usize>() as i64;
        Tensor::<1, Int>::arange(0..count, &Device::flex()).float().reshape(shape)
    }

    #[test]
    fn shuffle_undoes_unshuffle() {
        let x = ramp([2, 3, 8, 12]);
        let y = pixel_unshuffle(x.clone(), 4);
        assert_eq!(y.dims(), [2, 48, 2, 3]);
        pixel_shuffle(y, 4).to_data().assert_eq(&x.to_data(), true);
    }

    #[test]
    fn means_undo_repetition() {
        let x = ramp([2, 3, 4, 5]);
        let y = upsample_nearest(x.clone(), 2);
        assert_eq!(y.dims(), [2, 3, 8, 10]);
        downsample_mean(y, 2).to_data().assert_eq(&x.to_data(), true);
    }
}
