//! How tokens `[B, T, D]` that share one vector `[B, D]` a sample are cut.

/// Numbers of one sample, from the numbers of all tokens and of all vectors.
///
/// # Panics
/// The lengths do not fit together; the message begins with the name of the operation.
pub(crate) fn sample_len(operation: &str, width: usize, tokens: usize, vectors: usize) -> usize {
    assert!(width > 0 && vectors.is_multiple_of(width), "{operation}: vectors of width {width}");
    let batch = vectors / width;
    assert!(
        tokens == 0 || (batch > 0 && tokens.is_multiple_of(batch * width)),
        "{operation}: {tokens} numbers for {batch} vectors of width {width}"
    );
    tokens / batch.max(1)
}

/// Numbers that one task takes: a sample, or a stretch of tokens of an image that is alone, so
/// that all threads have work.
pub(crate) fn stretch_len(width: usize, tokens: usize, sample: usize) -> usize {
    /// Tokens of a stretch.
    const STRETCH: usize = 16;
    if tokens == sample { width * STRETCH } else { sample }
}
