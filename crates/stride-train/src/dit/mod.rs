//! Training of the transformer and its text encoder on latents.

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use stride::dit::Dit;
use stride::objective::NetworkInput;
use stride::text::TextEncoder;

mod captions;
mod config;
mod data;
mod init;
mod masks;
mod samples;
mod trainer;

pub use config::DitTrainConfig;
pub use init::DitInitConfig;
pub(crate) use trainer::DitTrainer;

/// The two networks that make velocities from captions, as one module.
#[derive(Module, Debug)]
pub struct TextToLatent {
    /// The transformer.
    pub dit: Dit,
    /// The text encoder.
    pub text_encoder: TextEncoder,
}

impl TextToLatent {
    /// The velocity for an input and captions `[B, L]` in rows of the vocabulary.
    pub fn forward(&self, input: NetworkInput, captions: Tensor<2, Int>) -> Tensor<4> {
        self.dit.forward_guided(input, &self.text_encoder.forward(captions))
    }

    /// The same and the second output, of a transformer that has one.
    ///
    /// # Panics
    /// It has none.
    pub fn forward_both(&self, input: NetworkInput, captions: Tensor<2, Int>) -> [Tensor<4>; 2] {
        self.dit.forward_both(input, &self.text_encoder.forward(captions))
    }
}
