//! A moving average in one pass over the numbers.

use rayon::prelude::*;

use crate::vectorized::vectorized;

/// Numbers that one task takes.
const CHUNK: usize = 1 << 15;

/// `average <- decay average + (1 - decay) value`, in place.
///
/// # Panics
/// The lengths differ.
pub fn follow(average: &mut [f32], value: &[f32], decay: f32) {
    assert_eq!(average.len(), value.len(), "average: lengths differ");
    average
        .par_chunks_mut(CHUNK)
        .zip(value.par_chunks(CHUNK))
        .for_each(|(average, value)| follow_chunk(average, value, decay));
}

vectorized! {
    fn follow_chunk(average: &mut [f32], value: &[f32], decay: f32) {
        for (average, &value) in average.iter_mut().zip(value) {
            *average = decay * *average + (1.0 - decay) * value;
        }
    }
}
