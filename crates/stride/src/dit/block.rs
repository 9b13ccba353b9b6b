//! One transformer block with adaLN-Zero modulation.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::fused::{self, gated_residual, norm_modulate};

use super::attention::{CrossAttention, SelfAttention};
use super::norm::normalize;
use super::position::Rotary;
use super::{DitConfig, NormKind, linear, mlp::Mlp};

/// Self-attention, attention to the text where configured, feed-forward; each on a residual
/// stream, the first and last shifted, scaled and gated by the condition.
///
/// # Source
/// DiT's adaLN-Zero block (Peebles and Xie 2022, arXiv 2212.09748, figure 3): the modulation
/// starts at zero, so the block starts as the identity.
/// # Deviations
/// The shortcut reference code initialises the modulation with Xavier weights; the paper's text
/// says adaLN-Zero, and so do we.
#[derive(Module, Debug)]
pub(super) struct DitBlock {
    attn: SelfAttention,
    cross_attn: Option<CrossAttention>,
    mlp: Mlp,
    modulation: Linear,
    #[module(skip)]
    norm: NormKind,
}

impl DitBlock {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        Self {
            attn: SelfAttention::new(config, device),
            cross_attn: config
                .text_conditioning
                .uses_tokens()
                .then(|| CrossAttention::new(config, device)),
            mlp: Mlp::new(config, device),
            modulation: linear::zeros(config.hidden_size, 6 * config.hidden_size, device),
            norm: config.norm,
        }
    }

    /// `x` `[B, T, D]`, `condition` `[B, D]` (after SiLU), `text` tokens `[B, L, E]` with the
    /// bias `[B, 1, 1, L]` that hides padding.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        condition: Tensor<2>,
        text: Option<(Tensor<3>, Tensor<2>)>,
        rotary: Option<&Rotary>,
    ) -> Tensor<3> {
        let [b, _, d] = x.dims();
        let vectors = fused::linear(&self.modulation, condition).reshape([b, 6, d]);
        let vector = |i: usize| vectors.clone().narrow(1, i, 1); // [B, 1, D]

        let h = norm_modulate(x.clone(), self.norm.into(), vector(0), vector(1));
        let x = gated_residual(x, self.attn.forward(h, rotary), vector(2));
        let x = match (&self.cross_attn, text) {
            (Some(cross_attn), Some((tokens, bias))) => {
                let h = normalize(x.clone(), self.norm);
                x + cross_attn.forward(h, tokens, bias)
            }
            _ => x,
        };
        let h = norm_modulate(x.clone(), self.norm.into(), vector(3), vector(4));
        gated_residual(x, self.mlp.forward(h), vector(5))
    }
}
