//! Which parameters Muon updates, and how far.

/// Decay rate of the momentum.
pub(crate) const MOMENTUM: f32 = 0.95;

/// Whether a parameter is a hidden matrix by its name: one inside a block of the diffusion
/// transformer that maps tokens to tokens.
///
/// Embeddings, input and output layers stay with AdamW. So do the modulations, which read one
/// vector an image, start at zero and are the largest matrices of a block, and the text encoder, whose
/// steps must be small while its captions mean nothing to the transformer (docs/log.md, 2026-11-23).
pub fn applies_to(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| part == "blocks") && parts.all(|part| part != "modulation")
}

/// Factor on the learning rate of a matrix in Burn's layout `[in, out]`: `sqrt(max(1, out / in))`.
///
/// Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024);
/// `adjust_lr_fn="original"` of `torch.optim.Muon`. The step itself is [`stride_kernels::muon`].
pub(crate) fn scale_of([d_in, d_out]: [usize; 2]) -> f64 {
    (d_out as f64 / d_in as f64).max(1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_matrices_only() {
        assert!(applies_to("dit.blocks.3.attn.qkv.weight"));
        assert!(!applies_to("text_encoder.text_model.encoder.layers.0.mlp.fc1.weight"));
        assert!(!applies_to("text_encoder.text_model.embeddings.token_embedding.weight"));
        assert!(!applies_to("dit.blocks.3.modulation.weight"));
        assert!(!applies_to("dit.final_layer.linear.weight"));
    }
}
