//! Latent images to tokens and back.

use burn::module::{Initializer, Module};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, module::linear};

use super::DitConfig;

/// Projects every patch of `patch_size` x `patch_size` latent positions to one token.
///
/// The weights are those of a convolution whose stride is its kernel, as in DiT checkpoints;
/// the product runs as one matrix product over patches.
#[derive(Module, Debug)]
pub(super) struct PatchEmbed {
    proj: Conv2d,
}

impl PatchEmbed {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let p = config.patch_size;
        let (fan_in, fan_out) = (config.in_channels * p * p, config.hidden_size);
        let mut proj = Conv2dConfig::new([config.in_channels, fan_out], [p, p])
            .with_stride([p, p])
            .with_initializer(Initializer::Zeros)
            .init(device);
        // DiT initialises the projection like a linear layer over the flattened patch.
        proj.weight = Initializer::XavierUniform { gain: 1.0 }.init_with(
            [fan_out, config.in_channels, p, p],
            Some(fan_in),
            Some(fan_out),
            device,
        );
        Self { proj }
    }

    /// `[B, C, H, W]` to `[B, T, D]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<3> {
        let weight = self.proj.weight.val();
        let [hidden_size, _, p, _] = weight.dims();
        let weight = weight.reshape([hidden_size as i32, -1]).transpose();
        let patches = patchify(x, p);
        let [b, t, n] = patches.dims();
        let tokens = linear(
            patches.reshape([b * t, n]),
            weight,
            self.proj.bias.as_ref().map(|bias| bias.val()),
        );
        tokens.reshape([b, t, hidden_size])
    }
}

/// Cuts images into patches: `[B, C, H, W]` to `[B, T, C p p]`, tokens row by row, the
/// numbers of a token in the order channel, row, column.
pub fn patchify(x: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [b, c, h, w] = x.dims();
    let (p, rows, cols) = (patch_size, h / patch_size, w / patch_size);
    x.reshape([b, c, rows, p, cols, p])
        .permute([0, 2, 4, 1, 3, 5]) // [B, rows, cols, C, p, p]
        .reshape([b, rows * cols, c * p * p])
}

/// Puts patches back: `[B, T, p p C]` to `[B, C, H, W]` with H = W, the numbers of a token in
/// the order row, column, channel.
///
/// The order differs from [`patchify`]'s, as it does in DiT, whose checkpoints have it so.
pub fn unpatchify(tokens: Tensor<3>, patch_size: usize) -> Tensor<4> {
    let [b, t, n] = tokens.dims();
    let (p, side) = (patch_size, t.isqrt());
    let c = n / (p * p);
    tokens
        .reshape([b, side, side, p, p, c])
        .permute([0, 5, 1, 3, 2, 4]) // [B, C, rows, p, cols, p]
        .reshape([b, c, side * p, side * p])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Int;

    #[test]
    fn unpatchify_undoes_patchify() {
        let device = Device::flex();
        let (b, c, size, p) = (2, 3, 8, 4);
        let x = Tensor::<1, Int>::arange(0..(b * c * size * size) as i64, &device)
            .float()
            .reshape([b, c, size, size]);
        let tokens = patchify(x.clone(), p);
        assert_eq!(tokens.dims(), [b, 4, c * p * p]);
        // From (channel, row, column) to (row, column, channel).
        let tokens = tokens.reshape([b, 4, c, p * p]).swap_dims(2, 3).reshape([b, 4, c * p * p]);
        unpatchify(tokens, p).to_data().assert_eq(&x.to_data(), true);
    }
}
