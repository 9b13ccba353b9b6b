//! The parts of the variational autoencoder; images are `[B, H, W, C]` here.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, FloatDType, Tensor};
use stride_kernels::fused::{
    self, Conv2dOptions, conv2d, cross_attention, group_norm, to_compute_dtype,
};

use super::config::AutoencoderKlConfig;

/// Added to the variance in every group norm.
const EPSILON: f64 = 1e-6;

/// Image to moments.
#[derive(Module, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let widths = &config.block_out_channels;
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let down_blocks = (0..widths.len()).map(|stage| {
            let from = widths[stage.saturating_sub(1)];
            DownBlock::new(config, from, widths[stage], stage + 1 < widths.len(), device)
        });
        Self {
            conv_in: conv3(config.in_channels, first, device),
            down_blocks: down_blocks.collect(),
            mid_block: MidBlock::new(config, last, device),
            conv_norm_out: norm(config, last, device),
            conv_out: conv3(last, 2 * config.latent_channels, device),
        }
    }

    pub(super) fn forward(&self, pixels: Tensor<4>) -> Tensor<4> {
        let x = conv2d(&self.conv_in, to_compute_dtype(pixels), Conv2dOptions::default());
        let x = self.down_blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.mid_block.forward(x);
        let x = group_norm(&self.conv_norm_out, x, true);
        conv2d(&self.conv_out, x, Conv2dOptions::default()).cast(FloatDType::F32)
    }
}

/// Latents to image.
#[derive(Module, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn new(config: &AutoencoderKlConfig, device: &Device) -> Self {
        let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let up_blocks = (0..widths.len()).map(|stage| {
            let from = widths[stage.saturating_sub(1)];
            UpBlock::new(config, from, widths[stage], stage + 1 < widths.len(), device)
        });
        Self {
            conv_in: conv3(config.latent_channels, first, device),
            mid_block: MidBlock::new(config, first, device),
            up_blocks: up_blocks.collect(),
            conv_norm_out: norm(config, last, device),
            conv_out: conv3(last, config.out_channels, device),
        }
    }

    pub(super) fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        let x = self.mid_block.forward(conv2d(
            &self.conv_in,
            to_compute_dtype(z),
            Conv2dOptions::default(),
        ));
        let x = self.up_blocks.iter().fold(x, |x, block| block.forward(x));
        let x = group_norm(&self.conv_norm_out, x, true);
        conv2d(&self.conv_out, x, Conv2dOptions::default()).cast(FloatDType::F32)
    }
}

/// Residual blocks, then half the resolution except in the last stage.
#[derive(Module, Debug)]
struct DownBlock {
    resnets: Vec<ResnetBlock>,
    downsamplers: Vec<Downsample>,
}

impl DownBlock {
    fn new(
        config: &AutoencoderKlConfig,
        from: usize,
        to: usize,
        halve: bool,
        device: &Device,
    ) -> Self {
        Self {
            resnets: resnets(config, from, to, config.layers_per_block, device),
            downsamplers: halve.then(|| Downsample::new(to, device)).into_iter().collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, block| block.forward(x));
        self.downsamplers.iter().fold(x, |x, layer| layer.forward(x))
    }
}

/// Residual blocks, then twice the resolution except in the last stage.
#[derive(Module, Debug)]
struct UpBlock {
    resnets: Vec<ResnetBlock>,
    upsamplers: Vec<Upsample>,
}

impl UpBlock {
    fn new(
        config: &AutoencoderKlConfig,
        from: usize,
        to: usize,
        double: bool,
        device: &Device,
    ) -> Self {
        let upsample = || Upsample { conv: conv3(to, to, device) };
        Self {
            resnets: resnets(config, from, to, config.layers_per_block + 1, device),
            upsamplers: double.then(upsample).into_iter().collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets.iter().fold(x, |x, block| block.forward(x));
        let twice = Conv2dOptions { upsample: 2, ..Conv2dOptions::default() };
        self.upsamplers.iter().fold(x, |x, layer| conv2d(&layer.conv, x, twice.clone()))
    }
}

#[derive(Module, Debug)]
struct Upsample {
    conv: Conv2d,
}

/// A convolution of stride 2 over an image padded on the right and at the bottom alone.
#[derive(Module, Debug)]
struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    fn new(width: usize, device: &Device) -> Self {
        let conv = Conv2dConfig::new([width, width], [3, 3])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1));
        Self { conv: conv.init(device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(&self.conv, x, Conv2dOptions::default())
    }
}

/// Residual block, attention, residual block at the lowest resolution.
#[derive(Module, Debug)]
struct MidBlock {
    attentions: Vec<Attention>,
    resnets: Vec<ResnetBlock>,
}

impl MidBlock {
    fn new(config: &AutoencoderKlConfig, width: usize, device: &Device) -> Self {
        let attention = || Attention::new(config, width, device);
        Self {
            attentions: config.mid_block_add_attention.then(attention).into_iter().collect(),
            resnets: resnets(config, width, width, 2, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets[0].forward(x);
        let x = self.attentions.iter().fold(x, |x, layer| layer.forward(x));
        self.resnets[1].forward(x)
    }
}

/// Norm, SiLU, convolution, twice, beside a path that changes the width alone.
#[derive(Module, Debug)]
struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    fn new(config: &AutoencoderKlConfig, from: usize, to: usize, device: &Device) -> Self {
        Self {
            norm1: norm(config, from, device),
            conv1: conv3(from, to, device),
            norm2: norm(config, to, device),
            conv2: conv3(to, to, device),
            conv_shortcut: (from != to).then(|| conv1(from, to, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = group_norm(&self.norm1, x.clone(), true);
        let h = conv2d(&self.conv1, h, Conv2dOptions::default());
        let h = group_norm(&self.norm2, h, true);
        let residual = Some(match &self.conv_shortcut {
            Some(conv) => conv2d(conv, x, Conv2dOptions::default()),
            None => x,
        });
        conv2d(&self.conv2, h, Conv2dOptions { residual, ..Conv2dOptions::default() })
    }
}

/// Self-attention of all positions with one head.
#[derive(Module, Debug)]
struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Vec<Linear>,
}

impl Attention {
    fn new(config: &AutoencoderKlConfig, width: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(width, width).init(device);
        Self {
            group_norm: norm(config, width, device),
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        let x = x.cast(FloatDType::F32);
        let tokens = group_norm(&self.group_norm, x.clone(), false).reshape([b, h * w, c]);
        let of_tokens = |layer: &Linear| fused::linear(layer, tokens.clone());
        let (q, k, v) = (of_tokens(&self.to_q), of_tokens(&self.to_k), of_tokens(&self.to_v));
        let attended = cross_attention(q, k, v, None, 1, None); // [B, hw, C]
        let out = self.to_out.iter().fold(attended, |y, layer| fused::linear(layer, y));
        to_compute_dtype(x + out.reshape([b, h, w, c]))
    }
}

fn resnets(
    config: &AutoencoderKlConfig,
    from: usize,
    to: usize,
    count: usize,
    device: &Device,
) -> Vec<ResnetBlock> {
    (0..count)
        .map(|i| ResnetBlock::new(config, if i == 0 { from } else { to }, to, device))
        .collect()
}

fn norm(config: &AutoencoderKlConfig, width: usize, device: &Device) -> GroupNorm {
    GroupNormConfig::new(config.norm_num_groups, width).with_epsilon(EPSILON).init(device)
}

fn conv3(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}

/// A convolution of single positions.
pub(super) fn conv1(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [1, 1])
        .with_padding(PaddingConfig2d::Explicit(0, 0, 0, 0))
        .init(device)
}
