//! The CLIP image encoder: patches, class token, layers, pooled output.

use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor};
use stride_kernels::fused;

use super::encoder::{ClipEncoder, LayerShape};
use super::{ClipVisionConfig, ClipVisionConfigError};
use crate::dit::patchify;
use crate::weights::{self, Renamed, SafetensorsBytes, TensorSource, WeightsError};

/// CLIP's image encoder, as `CLIPVisionModel` or, with a projection, `CLIPVisionModelWithProjection` of `transformers`.
///
/// # Source
/// Learning Transferable Visual Models From Natural Language Supervision (Radford et al. 2021, arXiv 2103.00020);
/// names of parameters from Hugging Face's checkpoints.
#[derive(Module, Debug)]
pub struct ClipVisionModel {
    /// The transformer.
    pub vision_model: ClipVisionTransformer,
    /// Product behind the pooled output, without bias.
    pub visual_projection: Option<Linear>,
}

/// Embeddings, layers and the norms around them.
#[derive(Module, Debug)]
pub struct ClipVisionTransformer {
    /// Patches, class token and positions.
    pub embeddings: ClipVisionEmbeddings,
    /// Norm in front of the layers; the checkpoints spell it so.
    pub pre_layrnorm: LayerNorm,
    /// The layers.
    pub encoder: ClipEncoder,
    /// Norm of the class token behind the layers.
    pub post_layernorm: LayerNorm,
    norm_epsilon: f64,
}

/// A token per patch behind the class token, and positions.
#[derive(Module, Debug)]
pub struct ClipVisionEmbeddings {
    /// The class token, D.
    pub class_embedding: Param<Tensor<1>>,
    /// The projection of a patch, without bias.
    pub patch_embedding: Conv2d,
    /// One row per token, the class token's first.
    pub position_embedding: Embedding,
}

/// What the encoder says about images.
#[derive(Clone, Debug)]
pub struct ClipImageOutput {
    /// States behind the last layer, the class token's first: `[B, 1 + T, D]`.
    pub tokens: Tensor<3>,
    /// The class token's state behind its norm: `[B, D]`.
    pub pooled: Tensor<2>,
    /// Its projection to the width that text shares, not normalised: `[B, P]`.
    pub image_embeds: Option<Tensor<2>>,
}

impl ClipVisionConfig {
    /// An image encoder with random weights, with standard deviations as for the text encoder; `D^-1/2` for class
    /// token, positions and projection, 0.02 for patches.
    ///
    /// # Errors
    /// When the sizes do not fit together.
    pub fn init(&self, device: &Device) -> Result<ClipVisionModel, ClipVisionConfigError> {
        self.validate()?;
        let (width, patch) = (self.hidden_size, self.patch_size);
        let normal = |std: f64| Initializer::Normal { mean: 0.0, std };
        let std = (width as f64).powf(-0.5);
        let norm = || LayerNormConfig::new(width).with_epsilon(self.layer_norm_eps).init(device);
        let shape = LayerShape {
            width,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            activation: self.hidden_act,
            norm_epsilon: self.layer_norm_eps,
            is_causal: false,
        };
        let patch_embedding = Conv2dConfig::new([self.num_channels, width], [patch, patch])
            .with_stride([patch, patch])
            .with_bias(false)
            .with_initializer(normal(0.02))
            .init(device);
        let embeddings = ClipVisionEmbeddings {
            class_embedding: normal(std).init([width], device),
            patch_embedding,
            position_embedding: Embedding {
                weight: normal(std).init([1 + self.num_patches(), width], device),
            },
        };
        let vision_model = ClipVisionTransformer {
            embeddings,
            pre_layrnorm: norm(),
            encoder: ClipEncoder::init(&shape, device),
            post_layernorm: norm(),
            norm_epsilon: self.layer_norm_eps,
        };
        let projected = self.projection_dim.filter(|_| self.has_projection());
        let visual_projection = projected.map(|projected| Linear {
            weight: normal(std).init([width, projected], device),
            bias: None,
        });
        Ok(ClipVisionModel { vision_model, visual_projection })
    }
}

impl ClipVisionModel {
    /// The model with the weights of a safetensors file; `file_name` is for errors only.
    ///
    /// # Errors
    /// As [`Self::load_from`].
    pub fn load(self, file_name: &str, bytes: &[u8]) -> Result<Self, WeightsError> {
        self.load_from(&SafetensorsBytes::open(file_name, bytes)?)
    }

    /// The model with weights from anywhere: under `vision_model.`, without it, or as part of a whole CLIP model,
    /// whose text side is left alone.
    ///
    /// # Errors
    /// As [`weights::load`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        let bare = source.layout("pre_layrnorm.weight").is_some();
        let has_projection = self.visual_projection.is_some();
        let own = Renamed::new(source, |name| {
            let is_projection = name == "visual_projection.weight";
            if is_text_side(name) || (is_projection && !has_projection) {
                None
            } else if bare && !is_projection {
                Some(format!("vision_model.{name}"))
            } else {
                Some(name.to_owned())
            }
        });
        weights::load_from(self, &own, "")
    }

    /// What the encoder says about images that [`clip_pixels`](super::clip_pixels) made, `[B, 3, S, S]` with the
    /// configured `image_size` S.
    ///
    /// # Panics
    /// The images have another size.
    pub fn forward(&self, pixels: Tensor<4>) -> ClipImageOutput {
        let (tokens, pooled) = self.vision_model.forward(pixels);
        let projected = self.visual_projection.as_ref();
        let image_embeds = projected.map(|layer| fused::linear(layer, pooled.clone()));
        ClipImageOutput { tokens, pooled, image_embeds }
    }
}

/// Whether a tensor of a whole CLIP model belongs to text, or to both sides.
fn is_text_side(name: &str) -> bool {
    name.starts_with("text_model.") || matches!(name, "text_projection.weight" | "logit_scale")
}

impl ClipVisionTransformer {
    /// `[B, 3, S, S]` to the states `[B, 1 + T, D]` and the pooled state `[B, D]`.
    fn forward(&self, pixels: Tensor<4>) -> (Tensor<3>, Tensor<2>) {
        let norm = |layer, x| fused::layer_norm(layer, self.norm_epsilon, x);
        let x = norm(&self.pre_layrnorm, self.embeddings.forward(pixels));
        let tokens = self.encoder.forward(x, None);
        let [batch, _, width] = tokens.dims();
        let class = tokens.clone().narrow(1, 0, 1); // [B, 1, D]
        let pooled = norm(&self.post_layernorm, class).reshape([batch, width]);
        (tokens, pooled)
    }
}

impl ClipVisionEmbeddings {
    /// `[B, 3, S, S]` to `[B, 1 + T, D]`.
    fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let weight = self.patch_embedding.weight.val();
        let [width, _, patch, _] = weight.dims();
        let patches = patchify(pixels, patch);
        let [batch, count, numbers] = patches.dims();
        let weight = weight.reshape([width, numbers]).transpose();
        let patches = patches.reshape([batch * count, numbers]).matmul(weight);
        let class = self.class_embedding.val().reshape([1, 1, width]).repeat_dim(0, batch);
        let tokens = Tensor::cat(vec![class, patches.reshape([batch, count, width])], 1);
        tokens + self.position_embedding.weight.val().unsqueeze::<3>()
    }
}
