//! From tokens to velocities.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::fused::{self, norm_modulate};

use super::{DitConfig, NormKind, linear};

/// Normalise, modulate, project D to the p p C numbers of a patch; all zero at the start.
#[derive(Module, Debug)]
pub(super) struct FinalLayer {
    modulation: Linear,
    linear: Linear,
    #[module(skip)]
    norm: NormKind,
}

impl FinalLayer {
    pub(super) fn new(config: &DitConfig, device: &Device) -> Self {
        let (d, p) = (config.hidden_size, config.patch_size);
        Self {
            modulation: linear::zeros(d, 2 * d, device),
            linear: linear::zeros(d, p * p * config.in_channels, device),
            norm: config.norm,
        }
    }

    /// `x` `[B, T, D]`, `condition` `[B, D]` (after SiLU), to `[B, T, p p C]`.
    pub(super) fn forward(&self, x: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        let [b, _, d] = x.dims();
        let vectors = fused::linear(&self.modulation, condition).reshape([b, 2, d]);
        let vector = |i: usize| vectors.clone().narrow(1, i, 1); // [B, 1, D]
        fused::linear(&self.linear, norm_modulate(x, self.norm.into(), vector(0), vector(1)))
    }
}
