//! The transformer layers of CLIP's two encoders and of the query encoder.

use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

use super::config::HiddenAct;

/// What the layers of the encoders differ in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerShape {
    /// Width of the hidden states.
    pub(crate) width: usize,
    /// Width inside the feed-forward part.
    pub(crate) inner: usize,
    /// Number of layers.
    pub(crate) layers: usize,
    /// Attention heads.
    pub(crate) heads: usize,
    /// Activation inside the feed-forward part.
    pub(crate) activation: HiddenAct,
    /// Added to the variance in every layer norm.
    pub(crate) norm_epsilon: f64,
    /// Whether a token sees only itself and those before it.
    pub(crate) is_causal: bool,
}

/// The stack of layers.
#[derive(Module, Debug)]
pub struct ClipEncoder {
    /// The layers, first to last.
    pub layers: Vec<ClipEncoderLayer>,
}

/// One pre-norm transformer layer.
#[derive(Module, Debug)]
pub struct ClipEncoderLayer {
    /// Self-attention.
    pub self_attn: ClipAttention,
    /// Norm before the attention.
    pub layer_norm1: LayerNorm,
    /// Feed-forward part.
    pub mlp: ClipMlp,
    /// Norm before the feed-forward part.
    pub layer_norm2: LayerNorm,
    norm_epsilon: f64,
}

/// Multi-head self-attention; of captions, a token sees itself and the tokens before it.
#[derive(Module, Debug)]
pub struct ClipAttention {
    /// Keys.
    pub k_proj: Linear,
    /// Values.
    pub v_proj: Linear,
    /// Queries.
    pub q_proj: Linear,
    /// Output.
    pub out_proj: Linear,
    num_heads: usize,
    is_causal: bool,
}

/// The feed-forward part of a layer.
#[derive(Module, Debug)]
pub struct ClipMlp {
    /// First product, to `intermediate_size`.
    pub fc1: Linear,
    /// Second product, back to `hidden_size`.
    pub fc2: Linear,
    #[module(skip)]
    activation: HiddenAct,
}

impl ClipEncoder {
    pub(crate) fn init(shape: &LayerShape, device: &Device) -> Self {
        let layers = (0..shape.layers).map(|_| ClipEncoderLayer::init(shape, device)).collect();
        Self { layers }
    }

    /// Hidden states after all layers; `x` and the result are `[B, L, D]`.
    ///
    /// `key_bias`, `[B, L]`, is added to the scores of the keys where attention is not causal; a causal encoder needs
    /// none, since what it must not see stands behind.
    ///
    /// Inside, the tokens of all captions are the rows of one matrix: on Burn 0.22 the gradient of a product of a
    /// three-dimensional tensor with a weight makes one weight gradient per caption and then adds them up, which is
    /// more than twice as slow.
    pub fn forward(&self, x: Tensor<3>, key_bias: Option<&Tensor<2>>) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let rows = x.reshape([batch * length, width]);
        let layer = |rows, layer: &ClipEncoderLayer| layer.forward(rows, length, key_bias);
        let rows = self.layers.iter().fold(rows, layer);
        rows.reshape([batch, length, width])
    }
}

impl ClipEncoderLayer {
    fn init(shape: &LayerShape, device: &Device) -> Self {
        let norm = LayerNormConfig::new(shape.width).with_epsilon(shape.norm_epsilon);
        Self {
            self_attn: ClipAttention::init(shape, device),
            layer_norm1: norm.init(device),
            mlp: ClipMlp::init(shape, device),
            layer_norm2: norm.init(device),
            norm_epsilon: shape.norm_epsilon,
        }
    }

    /// `x + attention(norm1(x))`, then the same with the feed-forward part; `[B L, D]` with captions of `length` rows.
    pub fn forward(&self, x: Tensor<2>, length: usize, key_bias: Option<&Tensor<2>>) -> Tensor<2> {
        let norm = |layer, x: &Tensor<2>| fused::layer_norm(layer, self.norm_epsilon, x.clone());
        let x = x.clone() + self.self_attn.forward(norm(&self.layer_norm1, &x), length, key_bias);
        x.clone() + self.mlp.forward(norm(&self.layer_norm2, &x))
    }
}

impl ClipAttention {
    fn init(shape: &LayerShape, device: &Device) -> Self {
        let width = shape.width;
        let std = (width as f64).powf(-0.5);
        let input = || normal_linear(width, width, std, device);
        Self {
            k_proj: input(),
            v_proj: input(),
            q_proj: input(),
            out_proj: normal_linear(width, width, std * residual_scale(shape), device),
            num_heads: shape.heads,
            is_causal: shape.is_causal,
        }
    }

    /// `softmax(q kᵀ / sqrt(d) + mask) v` per head, projected; `[B L, D]` with captions of `length` rows.
    pub fn forward(&self, x: Tensor<2>, length: usize, key_bias: Option<&Tensor<2>>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let captions = |x: Tensor<2>| x.reshape([rows / length, length, width]);
        let q = captions(fused::linear(&self.q_proj, x.clone()));
        let k = captions(fused::linear(&self.k_proj, x.clone()));
        let v = captions(fused::linear(&self.v_proj, x));
        let mixed = if self.is_causal {
            fused::causal_attention(q, k, v, self.num_heads)
        } else {
            fused::cross_attention(q, k, v, key_bias.cloned(), self.num_heads, None)
        };
        fused::linear(&self.out_proj, mixed.reshape([rows, width]))
    }
}

impl ClipMlp {
    fn init(shape: &LayerShape, device: &Device) -> Self {
        let (width, inner) = (shape.width, shape.inner);
        let out_std = (width as f64).powf(-0.5) * residual_scale(shape);
        Self {
            fc1: normal_linear(width, inner, (2.0 * width as f64).powf(-0.5), device),
            fc2: normal_linear(inner, width, out_std, device),
            activation: shape.activation,
        }
    }

    /// `fc2(activation(fc1(x)))`; `[B L, D]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let activation = match self.activation {
            HiddenAct::QuickGelu => Activation::QuickGelu,
            HiddenAct::Gelu => Activation::Gelu,
        };
        let x = fused::linear_activate(&self.fc1, x, activation);
        fused::linear(&self.fc2, x)
    }
}

/// Products whose result is added to the residual stream start smaller, the more layers add to it.
fn residual_scale(shape: &LayerShape) -> f64 {
    (2.0 * shape.layers as f64).powf(-0.5)
}

pub(super) fn normal_linear(d_input: usize, d_output: usize, std: f64, device: &Device) -> Linear {
    Linear {
        weight: Initializer::Normal { mean: 0.0, std }.init([d_input, d_output], device),
        bias: Some(zeros(d_output, device)),
    }
}

fn zeros(size: usize, device: &Device) -> Param<Tensor<1>> {
    Initializer::Zeros.init([size], device)
}
