//! Attention of image tokens to each other and to the text.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::softmax};

use super::DitConfig;
use super::linear::{self, per_token};
use super::norm::rms_normalize;
use super::position::Rotary;

/// Self-attention over the image tokens.
#[derive(Module, Debug)]
pub(super) struct SelfAttention {
    qkv: Linear,
    proj: Linear,
    q_norm: Option<HeadNorm>,
    k_norm: Option<HeadNorm>,
    num_heads: usize,
}

impl SelfAttention {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let d = config.hidden_size;
        let head_norm = || config.qk_norm.then(|| HeadNorm::new(config.head_dim(), device));
        Self {
            qkv: linear::xavier(d, 3 * d, device),
            proj: linear::xavier(d, d, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            num_heads: config.num_heads,
        }
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(super) fn forward(&self, x: Tensor<3>, rotary: Option<&Rotary>) -> Tensor<3> {
        let [b, t, d] = x.dims();
        let (n, head_dim) = (self.num_heads, d / self.num_heads);
        let qkv = per_token(&self.qkv, x).reshape([b, t, 3, n, head_dim]).permute([2, 0, 3, 1, 4]);
        let part = |i: usize| qkv.clone().narrow(0, i, 1).squeeze_dim::<4>(0); // [B, N, T, head_dim]
        let rotate = |x: Tensor<4>| rotary.map_or(x.clone(), |rotary| rotary.apply(x));
        let q = rotate(HeadNorm::maybe(&self.q_norm, part(0)));
        let k = rotate(HeadNorm::maybe(&self.k_norm, part(1)));
        per_token(&self.proj, attend(q, k, part(2), None))
    }
}

/// Attention of the image tokens to the text tokens.
///
/// # Source
/// The cross-attention of PixArt-alpha (Chen et al. 2023, arXiv 2310.00426): after
/// self-attention, not modulated, its output projection zero at the start.
#[derive(Module, Debug)]
pub(super) struct CrossAttention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    q_norm: Option<HeadNorm>,
    k_norm: Option<HeadNorm>,
    num_heads: usize,
}

impl CrossAttention {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (d, e) = (config.hidden_size, config.context_dim);
        let head_norm = || config.qk_norm.then(|| HeadNorm::new(config.head_dim(), device));
        Self {
            to_q: linear::xavier(d, d, device),
            to_k: linear::xavier(e, d, device),
            to_v: linear::xavier(e, d, device),
            to_out: linear::zeros(d, d, device),
            q_norm: head_norm(),
            k_norm: head_norm(),
            num_heads: config.num_heads,
        }
    }

    /// `x` `[B, T, D]`, `context` `[B, L, E]`, `bias` `[B, 1, 1, L]` added to the scores.
    pub(super) fn forward(&self, x: Tensor<3>, context: Tensor<3>, bias: Tensor<4>) -> Tensor<3> {
        let heads = |x: Tensor<3>| {
            let [b, length, d] = x.dims();
            x.reshape([b, length, self.num_heads, d / self.num_heads]).swap_dims(1, 2)
        };
        let q = HeadNorm::maybe(&self.q_norm, heads(per_token(&self.to_q, x)));
        let k = HeadNorm::maybe(&self.k_norm, heads(per_token(&self.to_k, context.clone())));
        let v = heads(per_token(&self.to_v, context));
        per_token(&self.to_out, attend(q, k, v, Some(bias)))
    }
}

/// RMS norm of every head's queries or keys with a learned gain.
#[derive(Module, Debug)]
struct HeadNorm {
    weight: Param<Tensor<1>>,
}

impl HeadNorm {
    fn new(head_dim: usize, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([head_dim], device) }
    }

    fn maybe(norm: &Option<Self>, x: Tensor<4>) -> Tensor<4> {
        match norm {
            Some(norm) => rms_normalize(x) * norm.weight.val().unsqueeze(),
            None => x,
        }
    }
}

/// softmax(q k^T / sqrt(head_dim) + bias) v, heads joined: `[B, N, T, head_dim]` to `[B, T, D]`.
fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<Tensor<4>>) -> Tensor<3> {
    let [b, n, t, head_dim] = q.dims();
    // Scaling the queries is cheaper than scaling the scores.
    let scores = (q * (head_dim as f64).powf(-0.5)).matmul(k.swap_dims(2, 3)); // [B, N, T, L]
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    softmax(scores, 3).matmul(v).swap_dims(1, 2).reshape([b, t, n * head_dim])
}
