//! How much pictures of one caption differ.

use crate::error::at_least;
use crate::features::squared_distances;
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
    let distances = squared_distances(pictures, pictures);
    let off_diagonal = (0..pictures.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|place| distances[place].sqrt())
        .sum::<f64>();
    Ok(off_diagonal / (n * (n - 1.0) / 2.0))
}
