//! The tiny autoencoder.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d, Relu};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use stride_kernels::activation::Activation;
use stride_kernels::fused::{Conv2dOptions, conv2d, to_compute_dtype};

use super::config::{AutoencoderConfigError, AutoencoderTinyConfig};
use super::resample::{
    channels_first, channels_last, downsample_mean, pixel_shuffle, pixel_unshuffle,
    upsample_nearest,
};

/// Latents beyond this magnitude are squeezed before decoding.
const LATENT_MAGNITUDE: f64 = 3.0;

/// An autoencoder of plain residual convolutions, without norms or attention.
///
/// # Source
/// TAESD (madebyollin/taesd) in diffusers' form, `AutoencoderTiny`, whose parameter names it
/// keeps.
/// # Deviations
/// Stages may have different widths, squares of pixels may be folded into channels at both ends,
/// a linear path may carry colour past the convolutions, and latents may be normalised per
/// channel; see [`AutoencoderTinyConfig`].
#[derive(Module, Debug)]
pub struct AutoencoderTiny {
    encoder: Stack,
    decoder: Stack,
    encoder_color: Option<Conv2d>,
    decoder_color: Option<Conv2d>,
    #[module(skip)]
    config: AutoencoderTinyConfig,
}

/// A sequence of layers, numbered as in PyTorch's `Sequential`.
#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few dozen a network, and the derive takes no box")]
enum Layer {
    Conv(Conv2d),
    Block(Block),
    Relu(Relu),
    Upsample(Upsample),
}

/// Doubles height and width by repetition.
#[derive(Module, Debug)]
struct Upsample;

/// relu(conv(relu(conv(relu(conv(x))))) + x)
#[derive(Module, Debug)]
struct Block {
    conv: Vec<Layer>,
}

impl AutoencoderTinyConfig {
    /// An autoencoder with random weights.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn init(&self, device: &Device) -> Result<AutoencoderTiny, AutoencoderConfigError> {
        self.validate()?;
        let color = |from, to| self.color_skip.then(|| conv(from, to, 1, 1, true, device));
        Ok(AutoencoderTiny {
            encoder: Stack::encoder(self, device),
            decoder: Stack::decoder(self, device),
            encoder_color: color(self.in_channels, self.latent_channels),
            decoder_color: color(self.latent_channels, self.out_channels),
            config: self.clone(),
        })
    }
}

impl AutoencoderTiny {
    /// `[B, 3, H, W]` in [-1, 1] to latents `[B, C, h, w]`.
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<4> {
        let pixels = (pixels + 1.0) * 0.5;
        let squares = pixel_unshuffle(pixels.clone(), self.config.encoder_pixel_shuffle);
        let mut z = self.encoder.forward(channels_last(squares));
        if let Some(color) = &self.encoder_color {
            let means = downsample_mean(pixels, self.config.downsampling_factor());
            z = z + conv2d(color, channels_last(means), Conv2dOptions::default());
        }
        let z = channels_first(z);
        let z = (z - self.config.shift_factor) * self.config.scaling_factor;
        match self.channel_statistics(&z.device()) {
            (Some(mean), Some(std)) => (z - mean) / std,
            (Some(mean), None) => z - mean,
            (None, Some(std)) => z / std,
            (None, None) => z,
        }
    }

    /// Latents `[B, C, h, w]` to pixels `[B, 3, H, W]`, about [-1, 1] but not clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let z = match self.channel_statistics(&latents.device()) {
            (Some(mean), Some(std)) => latents * std + mean,
            (Some(mean), None) => latents + mean,
            (None, Some(std)) => latents * std,
            (None, None) => latents,
        };
        let z = z / self.config.scaling_factor + self.config.shift_factor;
        let squeezed = channels_last((z / LATENT_MAGNITUDE).tanh() * LATENT_MAGNITUDE);
        let squares = channels_first(self.decoder.forward(squeezed.clone()));
        let mut pixels = pixel_shuffle(squares, self.config.decoder_pixel_shuffle);
        if let Some(color) = &self.decoder_color {
            let factor = self.config.downsampling_factor();
            let means = channels_first(conv2d(color, squeezed, Conv2dOptions::default()));
            pixels = pixels + upsample_nearest(means, factor);
        }
        pixels * 2.0 - 1.0
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &AutoencoderTinyConfig {
        &self.config
    }

    /// The same weights with latents normalised by these statistics of the raw latents.
    #[must_use]
    pub fn with_latent_statistics(mut self, mean: Vec<f32>, std: Vec<f32>) -> Self {
        self.config.latents_mean = Some(mean);
        self.config.latents_std = Some(std);
        self
    }

    /// Mean and standard deviation of the latents, `[1, C, 1, 1]` each.
    fn channel_statistics(&self, device: &Device) -> (Option<Tensor<4>>, Option<Tensor<4>>) {
        let column = |values: &Option<Vec<f32>>| {
            let values = values.clone()?;
            let shape = [1, values.len(), 1, 1];
            Some(Tensor::from_data(TensorData::new(values, shape), device))
        };
        (column(&self.config.latents_mean), column(&self.config.latents_std))
    }
}

impl Stack {
    fn encoder(config: &AutoencoderTinyConfig, device: &Device) -> Self {
        let mut layers = Vec::new();
        let mut width = config.in_channels * config.encoder_pixel_shuffle.pow(2);
        let stages = config.encoder_block_out_channels.iter().zip(&config.num_encoder_blocks);
        for (stage, (&next, &num_blocks)) in stages.enumerate() {
            let (stride, bias) = if stage == 0 { (1, true) } else { (2, false) };
            layers.push(Layer::Conv(conv(width, next, 3, stride, bias, device)));
            layers.extend((0..num_blocks).map(|_| Layer::Block(Block::new(next, device))));
            width = next;
        }
        layers.push(Layer::Conv(conv(width, config.latent_channels, 3, 1, true, device)));
        Self { layers }
    }

    fn decoder(config: &AutoencoderTinyConfig, device: &Device) -> Self {
        let widths = &config.decoder_block_out_channels;
        let mut layers = vec![
            Layer::Conv(conv(config.latent_channels, widths[0], 3, 1, true, device)),
            Layer::Relu(Relu::new()),
        ];
        for (stage, (&width, &num_blocks)) in
            widths.iter().zip(&config.num_decoder_blocks).enumerate()
        {
            layers.extend((0..num_blocks).map(|_| Layer::Block(Block::new(width, device))));
            let last = if let Some(&next) = widths.get(stage + 1) {
                layers.push(Layer::Upsample(Upsample));
                conv(width, next, 3, 1, false, device)
            } else {
                let out = config.out_channels * config.decoder_pixel_shuffle.pow(2);
                conv(width, out, 3, 1, true, device)
            };
            layers.push(Layer::Conv(last));
        }
        Self { layers }
    }

    /// Images are `[B, H, W, C]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut x = to_compute_dtype(x);
        let mut upsample = 1;
        let next = self.layers.iter().skip(1).map(Some).chain([None]);
        for (layer, next) in self.layers.iter().zip(next) {
            x = match layer {
                Layer::Conv(conv) => {
                    let activation =
                        matches!(next, Some(Layer::Relu(_))).then_some(Activation::Relu);
                    conv2d(conv, x, Conv2dOptions { upsample, activation, residual: None })
                }
                Layer::Block(block) => block.forward(x),
                // The convolution before applies the one, the convolution after reads the other.
                Layer::Relu(_) | Layer::Upsample(_) => x,
            };
            upsample = if matches!(layer, Layer::Upsample(_)) { 2 } else { 1 };
        }
        x.cast(FloatDType::F32)
    }
}

impl Block {
    fn new(width: usize, device: &Device) -> Self {
        let conv = || Layer::Conv(conv(width, width, 3, 1, true, device));
        let relu = || Layer::Relu(Relu::new());
        Self { conv: vec![conv(), relu(), conv(), relu(), conv()] }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let convs = self.conv.iter().filter_map(|layer| match layer {
            Layer::Conv(conv) => Some(conv),
            _ => None,
        });
        let last = convs.clone().count() - 1;
        convs.enumerate().fold(x.clone(), |h, (i, conv)| {
            let residual = (i == last).then(|| x.clone());
            let activation = Some(Activation::Relu);
            conv2d(conv, h, Conv2dOptions { residual, activation, ..Conv2dOptions::default() })
        })
    }
}

/// A convolution with PyTorch's default initialisation, U(-k, k) with k = 1 / sqrt(fan in).
fn conv(
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    bias: bool,
    device: &Device,
) -> Conv2d {
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(kernel / 2, kernel / 2, kernel / 2, kernel / 2))
        .with_bias(bias)
        .with_initializer(Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        })
        .init(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn shapes_and_sizes_of_the_avatar_autoencoder() {
        let device = Device::flex();
        let model = AutoencoderTinyConfig::avatars().init(&device).expect("valid");
        let latents = model.encode(Tensor::zeros([1, 3, 64, 64], &device));
        assert_eq!(latents.dims(), [1, 4, 8, 8]);
        assert_eq!(model.decode(latents).dims(), [1, 3, 64, 64]);
        assert!((2_000_000..3_000_000).contains(&model.num_params()), "{}", model.num_params());
    }

    #[test]
    fn statistics_normalise_latents_and_decoding_undoes_them() {
        let device = Device::flex();
        let model = AutoencoderTinyConfig::avatars().init(&device).expect("valid");
        let pixels = Tensor::<4>::random([2, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &device);
        let raw = model.encode(pixels.clone());
        let decoded = model.decode(raw.clone());
        let (mean, std) = (vec![0.5, -1.0, 2.0, 0.0], vec![2.0, 0.5, 1.0, 3.0]);
        let column = |v: &Vec<f32>| {
            Tensor::<4>::from_data(TensorData::new(v.clone(), [1, 4, 1, 1]), &device)
        };
        let expected = (raw - column(&mean)) / column(&std);
        let model = model.with_latent_statistics(mean, std);
        let latents = model.encode(pixels);
        let tolerance = Tolerance::rel_abs(1e-5, 1e-5);
        latents.to_data().assert_approx_eq::<f32>(&expected.to_data(), tolerance);
        model.decode(latents).to_data().assert_approx_eq::<f32>(&decoded.to_data(), tolerance);
    }

    #[test]
    fn misfits_are_named() {
        let error = |change: fn(&mut AutoencoderTinyConfig)| {
            let mut config = AutoencoderTinyConfig::avatars();
            change(&mut config);
            config.validate().map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        assert!(error(|c| c.decoder_pixel_shuffle = 4).contains("decoder_pixel_shuffle"));
        assert!(error(|c| c.num_encoder_blocks = vec![1]).contains("num_encoder_blocks"));
        assert!(error(|c| c.latents_std = Some(vec![1.0, 0.0, 1.0, 1.0])).contains("latents_std"));
        assert!(error(|c| c.latent_channels = 0).contains("latent_channels"));
        assert!(error(|c| c.act_fn = "silu".into()).contains("act_fn: expected relu, found silu"));
        assert!(error(|c| c.upsample_fn = "bilinear".into()).contains("upsample_fn"));
        assert!(error(|c| c.upsampling_scaling_factor = 3).contains("upsampling_scaling_factor"));
        assert!(error(|c| c.shift_factor = f64::NAN).contains("shift_factor"));
        let unshifted = serde_json::from_str::<AutoencoderTinyConfig>("{\"shift_factor\": null}");
        assert_eq!(unshifted.expect("as diffusers writes").shift_factor, 0.0);
        assert!(error(|c| c.encoder_pixel_shuffle = usize::MAX).contains("encoder_pixel_shuffle"));
        let deep = |c: &mut AutoencoderTinyConfig| {
            (c.decoder_block_out_channels, c.num_decoder_blocks) = (vec![8; 70], vec![1; 70]);
        };
        assert!(error(deep).contains("decoder_block_out_channels"));
    }

    #[test]
    fn config_files_of_diffusers_are_read() {
        let json = r#"{"_diffusers_version": "0.42.0", "act_fn": "relu", "block_out_channels": [64, 64, 64, 64],
            "decoder_block_out_channels": [64, 64, 64, 64], "encoder_block_out_channels": [64, 64, 64, 64],
            "force_upcast": false, "in_channels": 3, "latent_channels": 4, "latent_magnitude": 3,
            "latent_shift": 0.5, "num_decoder_blocks": [3, 3, 3, 1], "num_encoder_blocks": [1, 3, 3, 3],
            "out_channels": 3, "scaling_factor": 1.0, "upsample_fn": "nearest",
            "upsampling_scaling_factor": 2}"#;
        let config: AutoencoderTinyConfig = serde_json::from_str(json).expect("readable");
        assert_eq!(config, AutoencoderTinyConfig::default());
        assert_eq!((config.validate(), config.downsampling_factor()), (Ok(()), 8));
        let changed: AutoencoderTinyConfig =
            serde_json::from_str(&json.replace("relu", "gelu")).expect("readable");
        assert!(changed.validate().is_err());
    }

    #[test]
    fn a_batch_of_images_equals_its_images_alone() {
        let device = Device::flex();
        let model = AutoencoderTinyConfig::avatars().init(&device).expect("valid");
        let pixels = Tensor::<4>::random([3, 3, 32, 48], Distribution::Uniform(-1.0, 1.0), &device);
        let latents = model.encode(pixels.clone());
        let decoded = model.decode(latents.clone());
        let tolerance = Tolerance::rel_abs(1e-5, 1e-5);
        for i in 0..3 {
            let alone = model.encode(pixels.clone().narrow(0, i, 1));
            let expected = latents.clone().narrow(0, i, 1).into_data();
            alone.clone().into_data().assert_approx_eq::<f32>(&expected, tolerance);
            let expected = decoded.clone().narrow(0, i, 1).into_data();
            model.decode(alone).into_data().assert_approx_eq::<f32>(&expected, tolerance);
        }
    }
}
