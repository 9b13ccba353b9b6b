//! How much images of one caption differ.

use crate::error::at_least;
use crate::features::for_each_distance_block;
use crate::{EvalError, Features};

/// The mean Euclidean distance between all pairs of one caption's images.
///
/// sum_{i < j} |x_i - x_j| / (n (n - 1) / 2); 0 where all are the same.
///
/// # Errors
/// Fewer than 2 images.
pub fn diversity(images: &Features) -> Result<f64, EvalError> {
    at_least("diversity", 2, images.len())?;
    let n = images.len() as f64;
    let mut sum = 0.0;
    for_each_distance_block(images, images, |first, block| {
        for (column, own) in block.column_iter().zip(first..) {
            sum += column.iter().take(own).map(|squared| squared.sqrt()).sum::<f64>();
        }
    });
    Ok(sum / (n * (n - 1.0) / 2.0))
}
