//! How much pictures of one caption differ.

use crate::error::at_least;
use crate::features::for_each_distance_block;
use crate::{EvalError, Features};

/// The mean Euclidean distance between all pairs of one caption's pictures.
///
/// sum_{i < j} |x_i - x_j| / (n (n - 1) / 2); 0 where all are the same.
///
/// # Errors
/// Fewer than 2 pictures.
pub fn diversity(pictures: &Features) -> Result<f64, EvalError> {
    at_least("diversity", 2, pictures.len())?;
    let n = pictures.len() as f64;
    let mut sum = 0.0;
    for_each_distance_block(pictures, pictures, |first, block| {
        for (column, own) in block.column_iter().zip(first..) {
            sum += column.iter().take(own).map(|squared| squared.sqrt()).sum::<f64>();
        }
    });
    Ok(sum / (n * (n - 1.0) / 2.0))
}
