//! A text encoder with a head for every attribute.

use burn::module::{Initializer, Module};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use stride::classifier::Attribute;
use stride::text::{QueryTextConfig, QueryTextModel, TextEncoderConfigError};
use stride_kernels::fused;

/// Tells the attributes of an image from a caption: attribute a from the state of query a alone, so that this state
/// holds what the caption says of it.
#[derive(Module, Debug)]
pub(crate) struct AttributeReader {
    /// As many queries as attributes.
    pub(super) text_encoder: QueryTextModel,
    /// One linear layer per attribute, from the state of its query to its values.
    pub(super) heads: Vec<Linear>,
}

impl AttributeReader {
    /// A model with random weights; its answers are uniform until trained.
    pub(super) fn init(
        config: &QueryTextConfig,
        attributes: &[Attribute],
        device: &Device,
    ) -> Result<Self, TextEncoderConfigError> {
        let zeros = Initializer::Zeros;
        let head = |attribute: &Attribute| Linear {
            weight: zeros.init([config.hidden_size, attribute.values.len()], device),
            bias: Some(zeros.init([attribute.values.len()], device)),
        };
        let heads = attributes.iter().map(head).collect();
        Ok(Self { text_encoder: config.init(device)?, heads })
    }

    /// Logits of the values of every attribute, `[B, V]` each, for captions `[B, L]`.
    pub(super) fn forward(&self, captions: Tensor<2, Int>) -> Vec<Tensor<2>> {
        let states = self.text_encoder.forward(captions).tokens;
        let of_query = |query| states.clone().narrow(1, query, 1).squeeze_dim(1);
        let heads = self.heads.iter().enumerate();
        heads.map(|(query, head)| fused::linear(head, of_query(query))).collect()
    }
}
