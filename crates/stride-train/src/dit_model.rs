//! Transformer and text encoder, trained together.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use stride::clip::ClipTextModel;
use stride::dit::Dit;

/// The two networks that make velocities from captions, as one module.
#[derive(Module, Debug)]
pub struct TextToLatent {
    /// The transformer.
    pub dit: Dit,
    /// The text encoder.
    pub text_encoder: ClipTextModel,
}

impl TextToLatent {
    /// The velocity for states `[B, C, H, W]`, times and levels `[B]` and captions `[B, L]` in
    /// rows of the vocabulary.
    pub fn forward(
        &self,
        x_t: Tensor<4>,
        t: Tensor<1>,
        log2_steps: Tensor<1>,
        captions: Tensor<2, Int>,
    ) -> Tensor<4> {
        self.dit.forward(x_t, t, log2_steps, &self.text_encoder.forward(captions))
    }
}
