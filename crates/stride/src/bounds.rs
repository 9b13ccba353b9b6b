//! Bounds on the sizes that configurations name, far beyond any network of today, so that a wrong one is an error with a
//! name and not a request for more memory than there is.

/// Channels, or numbers of a token.
pub(crate) const MAX_WIDTH: usize = 1 << 16;
/// Numbers inside a feed-forward layer.
pub(crate) const MAX_HIDDEN_WIDTH: usize = 1 << 18;
/// Layers, blocks or blocks of a stage.
pub(crate) const MAX_DEPTH: usize = 1 << 10;
/// Height and width of an image or a latent image.
pub(crate) const MAX_SIDE: usize = 1 << 14;
/// Tokens of an image or a caption.
pub(crate) const MAX_TOKENS: usize = 1 << 16;
/// Rows of a table of embeddings.
pub(crate) const MAX_VOCABULARY: usize = 1 << 22;
/// Numbers of a network, 34 GB in f32.
pub(crate) const MAX_PARAMETERS: u128 = 1 << 33;

/// The product of sizes, which cannot overflow for what the bounds above allow.
pub(crate) fn product(sizes: &[usize]) -> u128 {
    sizes.iter().fold(1u128, |product, &size| product.saturating_mul(size as u128))
}

/// The field that exceeds its bound, with both.
pub(crate) fn first_too_large(
    sizes: &[(&'static str, usize, usize)],
) -> Option<(&'static str, usize, usize)> {
    sizes.iter().copied().find(|&(_, found, most)| found > most)
}
