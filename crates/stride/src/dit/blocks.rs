//! The blocks of the transformer and its final layer: what the condition shifts, scales and gates.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused::{self, gated_residual, norm_modulate};
use stride_kernels::norm_modulate::Norm;

use super::attention::{CrossAttention, Rotary, SelfAttention};
use super::init;
use super::{DitConfig, MlpKind, NormKind};

/// One block: self-attention, attention to the text where configured, feed-forward; each on a residual
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
            modulation: init::zeros(config.hidden_size, 6 * config.hidden_size, device),
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

/// The feed-forward layer, from D to the hidden width and back; with SwiGLU, `fc1` yields gate and value side by side.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    gated: bool,
}

impl Mlp {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (d, hidden) = (config.hidden_size, config.mlp_hidden_size());
        let gated = config.mlp == MlpKind::Swiglu;
        Self {
            fc1: init::xavier(d, if gated { 2 * hidden } else { hidden }, device),
            fc2: init::xavier(hidden, d, device),
            gated,
        }
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = if self.gated {
            fused::swiglu(fused::linear(&self.fc1, x))
        } else {
            fused::linear_activate(&self.fc1, x, Activation::GeluTanh)
        };
        fused::linear(&self.fc2, hidden)
    }
}

/// From tokens to velocities: normalise, modulate, project D to the p p C numbers of a patch; all zero at the start.
/// The second output, where there is one, projects the same numbers by a layer of its own.
#[derive(Module, Debug)]
pub(super) struct FinalLayer {
    modulation: Linear,
    linear: Linear,
    velocity: Option<Linear>,
    #[module(skip)]
    norm: NormKind,
}

impl FinalLayer {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (d, p) = (config.hidden_size, config.patch_size);
        let output = || init::zeros(d, p * p * config.in_channels, device);
        Self {
            modulation: init::zeros(d, 2 * d, device),
            linear: output(),
            velocity: config.velocity_head.then(output),
            norm: config.norm,
        }
    }

    /// `x` `[B, T, D]`, `condition` `[B, D]` (after SiLU), to what the outputs project, `[B, T, D]`.
    pub(super) fn modulate(&self, x: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        let [b, _, d] = x.dims();
        let vectors = fused::linear(&self.modulation, condition).reshape([b, 2, d]);
        let vector = |i: usize| vectors.clone().narrow(1, i, 1); // [B, 1, D]
        norm_modulate(x, self.norm.into(), vector(0), vector(1))
    }

    /// The output, `[B, T, p p C]`.
    pub(super) fn mean_velocity(&self, modulated: Tensor<3>) -> Tensor<3> {
        fused::linear(&self.linear, modulated)
    }

    /// The second output, `[B, T, p p C]`.
    pub(super) fn velocity(&self, modulated: Tensor<3>) -> Tensor<3> {
        let layer = self.velocity.as_ref().expect("a network configured with velocity_head");
        fused::linear(layer, modulated)
    }
}

/// Normalises the last axis of `x`, `[B, T, D]`, without learned parameters.
pub(super) fn normalize(x: Tensor<3>, kind: NormKind) -> Tensor<3> {
    let [b, _, d] = x.dims();
    let zeros = Tensor::zeros([b, 1, d], (&x.device(), x.dtype()));
    norm_modulate(x, kind.into(), zeros.clone(), zeros)
}

impl From<NormKind> for Norm {
    fn from(kind: NormKind) -> Self {
        match kind {
            NormKind::LayerNorm => Self::Layer,
            NormKind::RmsNorm => Self::Rms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn layer_norm_has_zero_mean_and_unit_variance() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 3, 64], Distribution::Normal(3.0, 5.0), &device);
        let y = normalize(x, NormKind::LayerNorm);
        let (mean, var) = (y.clone().mean_dim(2), y.square().mean_dim(2));
        mean.to_data().assert_approx_eq::<f32>(
            &Tensor::<3>::zeros([2, 3, 1], &device).to_data(),
            Tolerance::absolute(1e-5),
        );
        var.to_data().assert_approx_eq::<f32>(
            &Tensor::<3>::ones([2, 3, 1], &device).to_data(),
            Tolerance::absolute(1e-4),
        );
    }
}
