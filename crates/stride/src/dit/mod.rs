//! The diffusion transformer: a velocity field s(x_t, t, d) over latents, conditioned on text.
//!
//! As in the paper, latents are cut into patches and embedded beside the time, the step size and the
//! pooled text (`embedders`); blocks of attention and feed-forward layers follow, which the embedded
//! numbers shift, scale and gate (`blocks`, `attention`); a final layer makes velocities of the tokens.

mod attention;
mod blocks;
mod checkpoint;
mod config;
mod embedders;
mod model;

pub use checkpoint::DitNames;
pub use config::{DitConfig, DitConfigError, MlpKind, NormKind, TextConditioning};
pub use embedders::{patchify, sincos_2d, unpatchify};
pub use model::Dit;

/// How the transformer's linear layers start.
mod init {
    use burn::module::{Initializer, Param};
    use burn::nn::Linear;
    use burn::tensor::Device;

    /// A linear layer with zero bias and Xavier-uniform weights, as every inner layer of DiT.
    pub(super) fn xavier(d_input: usize, d_output: usize, device: &Device) -> Linear {
        linear(d_input, d_output, Initializer::XavierUniform { gain: 1.0 }, device)
    }

    /// A linear layer with zero bias and weights from N(0, 0.02), as the embedders of DiT.
    pub(super) fn normal(d_input: usize, d_output: usize, device: &Device) -> Linear {
        linear(d_input, d_output, Initializer::Normal { mean: 0.0, std: 0.02 }, device)
    }

    /// A linear layer of zeros: the gates of adaLN-Zero and the output.
    pub(super) fn zeros(d_input: usize, d_output: usize, device: &Device) -> Linear {
        linear(d_input, d_output, Initializer::Zeros, device)
    }

    fn linear(d_input: usize, d_output: usize, weights: Initializer, device: &Device) -> Linear {
        let bias: Param<_> = Initializer::Zeros.init([d_output], device);
        Linear {
            weight: weights.init_with([d_input, d_output], Some(d_input), Some(d_output), device),
            bias: Some(bias),
        }
    }
}
