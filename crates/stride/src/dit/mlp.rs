//! The feed-forward layer of a block.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

use super::{DitConfig, MlpKind, linear};

/// D to the hidden width and back; with SwiGLU, `fc1` yields gate and value side by side.
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
            fc1: linear::xavier(d, if gated { 2 * hidden } else { hidden }, device),
            fc2: linear::xavier(hidden, d, device),
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
