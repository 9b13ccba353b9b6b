//! The variational autoencoder of latent diffusion, and the distributions that it encodes to.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use stride_kernels::fused::{Conv2dOptions, conv2d};

use super::config::{AutoencoderConfigError, AutoencoderKlConfig};
use super::kl_blocks::{Decoder, Encoder, conv1};
use super::resample::{channels_first, channels_last};
use crate::weights::{self, Renamed, SafetensorsBytes, TensorSource, WeightsError};

/// A variational autoencoder of residual convolutions with group norm.
///
/// # Source
/// High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al. 2021,
/// arXiv 2112.10752) in diffusers' form, `AutoencoderKL`, whose parameter names it keeps.
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    #[module(skip)]
    config: AutoencoderKlConfig,
}

impl AutoencoderKlConfig {
    /// An autoencoder with random weights.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn init(&self, device: &Device) -> Result<AutoencoderKl, AutoencoderConfigError> {
        self.validate()?;
        let (moments, latents) = (2 * self.latent_channels, self.latent_channels);
        Ok(AutoencoderKl {
            encoder: Encoder::new(self, device),
            decoder: Decoder::new(self, device),
            quant_conv: self.use_quant_conv.then(|| conv1(moments, moments, device)),
            post_quant_conv: self.use_post_quant_conv.then(|| conv1(latents, latents, device)),
            config: self.clone(),
        })
    }
}

impl AutoencoderKl {
    /// The model with the weights of a safetensors file; `file_name` is for errors only.
    ///
    /// # Errors
    /// As [`Self::load_from`].
    pub fn load(self, file_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        self.load_from(&SafetensorsBytes::open(file_name, bytes)?)
    }

    /// The model with weights from anywhere.
    ///
    /// Attention may have the names of older files (`query`, `key`, `value`, `proj_attn` for
    /// `to_q`, `to_k`, `to_v`, `to_out.0`), and its weights the shape of 1x1 convolutions.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        weights::load_from(self, &with_present_names(source), "")
    }

    /// The posterior of an image's latents before scaling, for images `[B, 3, H, W]` in
    /// [-1, 1].
    pub fn posterior(&self, pixels: Tensor<4>) -> DiagonalGaussian {
        let moments = self.encoder.forward(channels_last(pixels));
        let moments = match &self.quant_conv {
            Some(conv) => conv2d(conv, moments, Conv2dOptions::default()),
            None => moments,
        };
        DiagonalGaussian::from_moments(channels_first(moments))
    }

    /// The posterior of what the transformer sees, for images `[B, 3, H, W]` in [-1, 1].
    pub fn scaled_posterior(&self, pixels: Tensor<4>) -> DiagonalGaussian {
        self.posterior(pixels).scaled(self.config.shift_factor, self.config.scaling_factor)
    }

    /// Scales latents of the posterior to what the transformer sees.
    pub fn scale(&self, z: Tensor<4>) -> Tensor<4> {
        (z - self.config.shift_factor) * self.config.scaling_factor
    }

    /// `[B, 3, H, W]` in [-1, 1] to the scaled mode of the posterior, `[B, C, h, w]`.
    pub fn encode(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.scale(self.posterior(pixels).mode())
    }

    /// Scaled latents `[B, C, h, w]` to pixels `[B, 3, H, W]`, about [-1, 1] but not clamped.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let z = channels_last(latents / self.config.scaling_factor + self.config.shift_factor);
        channels_first(self.decoder.forward(match &self.post_quant_conv {
            Some(conv) => conv2d(conv, z, Conv2dOptions::default()),
            None => z,
        }))
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &AutoencoderKlConfig {
        &self.config
    }
}

/// Old and present names of the layers of an attention.
const ATTENTION_NAMES: [(&str, &str); 4] = [
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
];

/// The same tensors with present names and linear attention weights.
fn with_present_names(source: &dyn TensorSource) -> Renamed<'_> {
    let mut present = Renamed::new(source, |name| {
        let is_attention = name.contains(".attentions.");
        let names = if is_attention { &ATTENTION_NAMES[..] } else { &[] };
        Some(names.iter().fold(name.to_owned(), |name, (old, new)| name.replace(old, new)))
    });
    for name in present.names() {
        let shape = present.layout(&name).map(|layout| layout.shape);
        if let (true, Some([rows, cols, 1, 1])) = (name.contains(".attentions."), shape.as_deref())
        {
            present.reshape(&name, vec![*rows, *cols]);
        }
    }
    present
}

/// The distribution of latents that an encoder gives: a normal one of independent numbers.
#[derive(Clone, Debug)]
pub struct DiagonalGaussian {
    /// Means, `[B, C, h, w]`.
    pub mean: Tensor<4>,
    /// Logarithms of the variances, `[B, C, h, w]`, in [-30, 20].
    pub logvar: Tensor<4>,
}

impl DiagonalGaussian {
    /// From moments `[B, 2 C, h, w]`: means first, then log-variances, which are clamped.
    pub fn from_moments(moments: Tensor<4>) -> Self {
        let channels = moments.dims()[1] / 2;
        Self {
            mean: moments.clone().narrow(1, 0, channels),
            logvar: moments.narrow(1, channels, channels).clamp(-30.0, 20.0),
        }
    }

    /// mean + exp(logvar / 2) noise, with `noise` drawn from N(0, 1) by the caller.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }

    /// The most probable latents.
    pub fn mode(&self) -> Tensor<4> {
        self.mean.clone()
    }

    /// The distribution of (z - shift) factor for z drawn from this one, with a positive `factor`.
    pub fn scaled(&self, shift: f64, factor: f64) -> Self {
        Self {
            mean: (self.mean.clone() - shift) * factor,
            logvar: self.logvar.clone() + 2.0 * factor.ln(),
        }
    }

    /// The divergence from N(0, 1) per number, 1/2 (mean^2 + var - 1 - log var), averaged over
    /// everything: `[1]`.
    pub fn kl(&self) -> Tensor<1> {
        let (mean, logvar) = (self.mean.clone(), self.logvar.clone());
        ((mean.square() + logvar.clone().exp() - logvar - 1.0) * 0.5).mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misfits_are_named() {
        let error = |change: fn(&mut AutoencoderKlConfig)| {
            let mut config = AutoencoderKlConfig::default();
            change(&mut config);
            config.validate().map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        assert!(error(|c| c.block_out_channels = vec![100; 4]).contains("norm_num_groups = 32"));
        assert!(
            error(|c| c.down_block_types[2] = "AttnDownBlock2D".into()).contains("AttnDownBlock2D")
        );
        assert!(error(|c| c.layers_per_block = 0).contains("layers_per_block"));
        assert!(error(|c| c.scaling_factor = f64::NAN).contains("scaling_factor"));
        assert!(error(|c| c.shift_factor = f64::INFINITY).contains("shift_factor"));
        assert!(error(|c| c.act_fn = "gelu".into()).contains("act_fn"));
        assert!(error(|c| c.latents_std = Some(vec![1.0; 4])).contains("latents_std"));
        assert_eq!(AutoencoderKlConfig::default().validate(), Ok(()));
    }

    #[test]
    fn config_files_of_diffusers_are_read() {
        let json = r#"{"_diffusers_version": "0.4.2", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
            "sample_size": 256, "scaling_factor": 0.5, "shift_factor": null, "force_upcast": true}"#;
        let config: AutoencoderKlConfig = serde_json::from_str(json).expect("readable");
        assert_eq!((config.scaling_factor, config.shift_factor), (0.5, 0.0));
        assert_eq!(config.downsampling_factor(), 8);
    }

    #[test]
    fn the_standard_normal_has_no_divergence_and_no_noise_gives_the_mode() {
        let device = Device::flex();
        let standard = DiagonalGaussian::from_moments(Tensor::zeros([1, 4, 2, 2], &device));
        assert_eq!(standard.kl().into_scalar::<f32>(), 0.0);
        let moments = Tensor::<4>::from_floats([[[[3.0]], [[100.0]]]], &device);
        let posterior = DiagonalGaussian::from_moments(moments);
        assert_eq!(posterior.logvar.clone().into_scalar::<f32>(), 20.0);
        let sample = posterior.sample(Tensor::zeros([1, 1, 1, 1], &device));
        sample.into_data().assert_eq(&posterior.mode().into_data(), true);
    }

    #[test]
    fn scaling_a_distribution_scales_its_samples() {
        let device = Device::flex();
        let moments = Tensor::<4>::from_floats([[[[3.0, -1.0]], [[-0.5, 1.5]]]], &device);
        let posterior = DiagonalGaussian::from_moments(moments);
        let noise = Tensor::<4>::from_floats([[[[0.7, -1.2]]]], &device);
        let expected = (posterior.sample(noise.clone()) - 0.25) * 0.18215;
        let scaled = posterior.scaled(0.25, 0.18215).sample(noise);
        let error = (scaled - expected).abs().max().into_scalar::<f32>();
        assert!(error < 1e-6, "{error}");
    }
}
