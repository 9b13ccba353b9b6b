//! The network of a classifier.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, FloatDType, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused::{
    Conv2dOptions, conv2d, group_norm, linear, linear_activate, to_compute_dtype,
};

use super::{AttributeClassifierConfig, ClassifierConfigError};
use crate::weights::{self, WeightsError};

/// Channels that are left of the last stage, so that where something is costs few weights.
const LAST_CHANNELS: usize = 32;
/// Added to the variance in every group norm.
const EPSILON: f64 = 1e-5;

/// Convolutions that halve an image until few positions are left, then two linear layers.
///
/// Positions are not averaged at the end: a blue garment and a blue background differ in where the blue is.
#[derive(Module, Debug)]
pub struct AttributeClassifier {
    stages: Vec<Stage>,
    last: Conv2d,
    features: Linear,
    answers: Linear,
    #[module(skip)]
    config: AttributeClassifierConfig,
}

/// The predictions of a classifier.
#[derive(Clone, Debug)]
pub struct Answers {
    /// `[B, F]`, to compare sets of images by.
    pub features: Tensor<2>,
    /// `[B, A]`: the values of one attribute after the other, before the softmax of each.
    pub logits: Tensor<2>,
}

impl AttributeClassifierConfig {
    /// A classifier with random weights.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn init(&self, device: &Device) -> Result<AttributeClassifier, ClassifierConfigError> {
        self.validate()?;
        let side = self.resolution / self.downsampling_factor();
        let from = |stage: usize| stage.checked_sub(1).map_or(3, |before| self.widths[before]);
        let stages = self.widths.iter().enumerate();
        let last = self.widths.last().copied().unwrap_or_default();
        Ok(AttributeClassifier {
            stages: stages.map(|(i, &to)| Stage::new(i == 0, from(i), to, device)).collect(),
            last: Conv2dConfig::new([last, LAST_CHANNELS], [1, 1]).init(device),
            features: LinearConfig::new(side * side * LAST_CHANNELS, self.feature_size)
                .init(device),
            answers: LinearConfig::new(self.feature_size, self.num_answers()).init(device),
            config: self.clone(),
        })
    }
}

impl AttributeClassifier {
    /// The classifier with the weights of a safetensors file; `file_name` is for errors only.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load(self, file_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        weights::load(self, file_name, bytes, "")
    }

    /// Predicts the attributes of images `[B, 3, R, R]` in [-1, 1], R its resolution.
    pub fn forward(&self, pixels: Tensor<4>) -> Answers {
        let x = to_compute_dtype(pixels.permute([0, 2, 3, 1])); // [B, R, R, 3]
        let x = self.stages.iter().fold(x, |x, stage| stage.forward(x));
        let x = conv2d(&self.last, x, Conv2dOptions::default()).cast(FloatDType::F32);
        let features = linear_activate(&self.features, x.flatten::<2>(1, 3), Activation::Silu);
        let logits = linear(&self.answers, features.clone());
        Answers { features, logits }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &AttributeClassifierConfig {
        &self.config
    }
}

impl Answers {
    /// For every image and attribute, the index of the most probable value.
    pub fn choices(&self, config: &AttributeClassifierConfig) -> Vec<Vec<usize>> {
        let logits: Vec<f32> = crate::floats::floats(self.logits.clone());
        let likeliest = |logits: &[f32]| {
            let places = logits.iter().enumerate();
            places.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place)
        };
        let of_image = |mut logits: &[f32]| {
            let choice = |attribute: &super::Attribute| {
                let (of_this, rest) = logits.split_at(attribute.values.len());
                logits = rest;
                likeliest(of_this)
            };
            config.attributes.iter().map(choice).collect()
        };
        logits.chunks_exact(config.num_answers().max(1)).map(of_image).collect()
    }
}

/// A convolution to a smaller image and one that keeps the size, each with norm and SiLU.
#[derive(Module, Debug)]
struct Stage {
    down: Conv2d,
    norm_1: GroupNorm,
    conv: Conv2d,
    norm_2: GroupNorm,
}

impl Stage {
    fn new(is_first: bool, from: usize, to: usize, device: &Device) -> Self {
        let three = |stride| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            Conv2dConfig::new([if stride == 1 { to } else { from }, to], [3, 3])
                .with_stride([stride; 2])
                .with_padding(padding)
                .init(device)
        };
        let squares = || {
            Conv2dConfig::new([from, to], [4, 4])
                .with_stride([4, 4])
                .with_padding(PaddingConfig2d::Valid)
                .init(device)
        };
        let norm = || {
            let groups = AttributeClassifierConfig::GROUPS;
            GroupNormConfig::new(groups, to).with_epsilon(EPSILON).init(device)
        };
        let down = if is_first { squares() } else { three(2) };
        Self { down, norm_1: norm(), conv: three(1), norm_2: norm() }
    }

    /// Images are `[B, H, W, C]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = conv2d(&self.down, x, Conv2dOptions::default());
        let x = conv2d(&self.conv, group_norm(&self.norm_1, x, true), Conv2dOptions::default());
        group_norm(&self.norm_2, x, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Attribute;
    use burn::tensor::{Distribution, TensorData};

    fn attribute(name: &str, values: &[&str]) -> Attribute {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Attribute { name: name.to_owned(), values }
    }

    fn config() -> AttributeClassifierConfig {
        let attributes = vec![
            attribute("hair_color", &["black", "gray", "red"]),
            attribute("style", &["flat", "toon"]),
        ];
        AttributeClassifierConfig {
            widths: vec![8, 16],
            ..AttributeClassifierConfig::new(32, attributes)
        }
    }

    #[test]
    fn answers_have_a_place_for_every_value() {
        let device = Device::flex();
        let model = config().init(&device).expect("valid");
        let pixels = Tensor::random([2, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &device);
        let answers = model.forward(pixels);
        assert_eq!((answers.features.dims(), answers.logits.dims()), ([2, 128], [2, 5]));
        let logits = [[0.0, 3.0, -1.0, 0.5, 0.4], [f32::NAN, 1.0, 2.0, -1.0, 5.0]];
        let logits = Tensor::from_data(TensorData::from(logits), &device);
        let choices = Answers { logits, ..answers }.choices(&config());
        assert_eq!((&choices[0], choices[1][1]), (&vec![1, 0], 1));
    }

    #[test]
    fn weights_come_back_and_broken_ones_do_not() {
        let device = Device::flex();
        let model = config().init(&device).expect("valid");
        let bytes = weights::save(&model, "", weights::StoredDtype::F32, &[]).expect("fits");
        let fresh = || config().init(&device).expect("valid");
        let pixels = Tensor::random([1, 3, 32, 32], Distribution::Uniform(-1.0, 1.0), &device);
        let loaded = fresh().load("model.safetensors", &bytes).expect("its own weights");
        let logits = |model: &AttributeClassifier| model.forward(pixels.clone()).logits.into_data();
        assert_eq!(logits(&loaded), logits(&model));
        let mut other = config();
        other.attributes[0].values.push("pink".to_owned());
        let error = other.init(&device).expect("valid").load("model.safetensors", &bytes);
        assert!(error.is_err_and(|error| error.to_string().contains("answers")));
        let mut broken = bytes.clone();
        let end = broken.len();
        broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(fresh().load("model.safetensors", &broken).is_err());
        assert!(fresh().load("model.safetensors", &bytes[..end / 2]).is_err());
    }

    #[test]
    fn misfits_are_named() {
        let error = |change: fn(&mut AttributeClassifierConfig)| {
            let mut config = config();
            change(&mut config);
            config.validate().map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        assert_eq!(error(|_| ()), "");
        assert!(error(|c| c.widths = vec![12]).contains("widths"));
        assert!(error(|c| c.widths.clear()).contains("widths"));
        assert!(error(|c| c.widths = vec![8; 90]).contains("widths"));
        assert!(error(|c| c.resolution = 30).contains("resolution: expected a multiple of 8"));
        assert!(error(|c| c.feature_size = 0).contains("feature_size"));
        assert!(error(|c| c.attributes.clear()).contains("attributes"));
        assert!(error(|c| c.attributes[1].values.truncate(1)).contains("style with 1 values"));
    }
}
