//! The feed-forward layer of a block.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{
    Device, Tensor,
    activation::{sigmoid, silu},
};

use super::linear::{self, per_token};
use super::{DitConfig, MlpKind};

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
        let hidden = per_token(&self.fc1, x);
        let hidden = if self.gated {
            let width = hidden.dims()[2] / 2;
            silu(hidden.clone().narrow(2, 0, width)) * hidden.narrow(2, width, width)
        } else {
            gelu_tanh(hidden)
        };
        per_token(&self.fc2, hidden)
    }
}

/// GELU in its tanh form, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
///
/// Written with the identity (1 + tanh z)/2 = sigmoid(2 z): one transcendental pass whose
/// backward pass the tensor library has in closed form.
fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    let two_z = (x.clone().square() * (0.044715 * GELU_SLOPE) + GELU_SLOPE) * x.clone();
    x * sigmoid(two_z)
}

/// 2 sqrt(2 / pi)
const GELU_SLOPE: f64 = 1.595_769_121_605_730_7;

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance, activation::gelu_approximate};

    #[test]
    fn gelu_is_the_tanh_form() {
        let x = Tensor::<3>::random([2, 3, 50], Distribution::Normal(0.0, 3.0), &Device::flex());
        gelu_tanh(x.clone())
            .to_data()
            .assert_approx_eq::<f32>(&gelu_approximate(x).to_data(), Tolerance::absolute(1e-5));
    }
}
