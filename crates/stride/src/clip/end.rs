//! Where captions end.

use burn::tensor::{Int, IntDType, Tensor};

/// Position of the first end token of each caption, `[B, 1]`; `positions` is 0, 1, .. as `[1, L]`.
///
/// Earlier positions get the higher score, so that the largest is unique: which of several equal maxima `argmax`
/// returns differs between devices. A row without end token ends at its first position.
pub(crate) fn end_positions(
    eos_token_id: usize,
    token_ids: Tensor<2, Int>,
    positions: Tensor<2, Int>,
) -> Tensor<2, Int> {
    // The captions may come in another integer type than the device's own, and Flex's `argmax` is always 64 bits.
    let dtype: IntDType = positions.dtype().into();
    let length = positions.dims()[1] as i64;
    // A configuration from before transformers 4.31 says 2 and means the highest id.
    let score = match eos_token_id {
        2 => token_ids.cast(dtype),
        id => token_ids.equal_elem(id as i64).int().cast(dtype),
    };
    (score * length - positions).argmax(1).cast(dtype)
}
