//! The text context that conditions the transformer.

use burn::tensor::{Bool, Tensor};

/// What the text encoder hands to the transformer for a batch of captions.
#[derive(Clone, Debug)]
pub struct TextContext {
    /// Final hidden states of the text encoder, `[B, L, E]`.
    pub tokens: Tensor<3>,
    /// `true` at positions after a caption's end token, which attention must ignore, `[B, L]`.
    pub padding_mask: Tensor<2, Bool>,
    /// One vector per caption: the hidden state at the end token (projected where the encoder
    /// has a projection), `[B, E]`.
    pub pooled: Tensor<2>,
}
