//! Reads from a caption what it says of every attribute.

use burn::module::{Initializer, Module};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use stride_kernels::fused;

use crate::text::{QueryTextConfig, QueryTextModel, TextEncoderConfigError};

/// A text encoder with a linear layer for every query: attribute a is told from the state of query a alone, so that this
/// state holds what the caption says of it.
#[derive(Module, Debug)]
pub struct AttributeReader {
    /// As many queries as attributes.
    pub text_encoder: QueryTextModel,
    /// One linear layer per attribute, from the state of its query to its values.
    pub heads: Vec<Linear>,
}

impl AttributeReader {
    /// A reader with random weights for attributes of so many values; its answers are uniform until trained.
    ///
    /// # Errors
    /// The sizes of the text encoder do not fit together.
    ///
    /// # Panics
    /// There are more attributes than queries.
    pub fn init(
        config: &QueryTextConfig,
        num_values: &[usize],
        device: &Device,
    ) -> Result<Self, TextEncoderConfigError> {
        assert!(num_values.len() <= config.num_queries, "a query for every attribute");
        let zeros = Initializer::Zeros;
        let head = |&num_values: &usize| Linear {
            weight: zeros.init([config.hidden_size, num_values], device),
            bias: Some(zeros.init([num_values], device)),
        };
        let heads = num_values.iter().map(head).collect();
        Ok(Self { text_encoder: config.init(device)?, heads })
    }

    /// Logits of the values of every attribute, `[B, V]` each, for captions `[B, L]`.
    pub fn forward(&self, captions: Tensor<2, Int>) -> Vec<Tensor<2>> {
        let states = self.text_encoder.forward(captions).tokens;
        let of_query = |query| states.clone().narrow(1, query, 1).squeeze_dim(1);
        let heads = self.heads.iter().enumerate();
        heads.map(|(query, head)| fused::linear(head, of_query(query))).collect()
    }
}
