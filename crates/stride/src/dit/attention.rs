//! Attention of image tokens to each other and to the text.

use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::fused::plain::rms_normalize;
use stride_kernels::fused::{self, cross_attention, self_attention};

use super::DitConfig;
use super::linear;
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
        let qkv = fused::linear(&self.qkv, x); // [B, T, 3 D]
        let mixed = match rotary {
            None => self_attention(qkv, self.num_heads, gains(&self.q_norm, &self.k_norm)),
            Some(rotary) => self.rotated(qkv, rotary),
        };
        fused::linear(&self.proj, mixed)
    }

    /// Attention with queries and keys turned by their position: `[B, T, 3 D]` to `[B, T, D]`.
    fn rotated(&self, qkv: Tensor<3>, rotary: &Rotary) -> Tensor<3> {
        let [b, t, triple] = qkv.dims();
        let (n, d) = (self.num_heads, triple / 3);
        let part = |i: usize| qkv.clone().narrow(2, i * d, d);
        let turn = |x: Tensor<3>, norm: &Option<HeadNorm>| {
            let heads = x.reshape([b, t, n, d / n]).swap_dims(1, 2); // [B, N, T, head_dim]
            let heads = match norm {
                Some(norm) => rms_normalize(heads) * norm.weight.val().unsqueeze(),
                None => heads,
            };
            rotary.apply(heads).swap_dims(1, 2).reshape([b, t, d])
        };
        let (q, k) = (turn(part(0), &self.q_norm), turn(part(1), &self.k_norm));
        cross_attention(q, k, part(2), None, n, None)
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

    /// `x` `[B, T, D]`, `context` `[B, L, E]`, `bias` `[B, L]` added to the scores.
    pub(super) fn forward(&self, x: Tensor<3>, context: Tensor<3>, bias: Tensor<2>) -> Tensor<3> {
        let q = fused::linear(&self.to_q, x);
        let k = fused::linear(&self.to_k, context.clone());
        let v = fused::linear(&self.to_v, context);
        let gains = gains(&self.q_norm, &self.k_norm);
        fused::linear(&self.to_out, cross_attention(q, k, v, Some(bias), self.num_heads, gains))
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
}

/// The gains of queries and keys, where there are norms.
fn gains(q: &Option<HeadNorm>, k: &Option<HeadNorm>) -> Option<(Tensor<1>, Tensor<1>)> {
    Some((q.as_ref()?.weight.val(), k.as_ref()?.weight.val()))
}
