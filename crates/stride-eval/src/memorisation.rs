//! Distance to the nearest training image.

use crate::error::{at_least, same};
use crate::features::for_each_distance_block;
use crate::{EvalError, Features};

/// The nearest training image of every generated one.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Its index in the training set.
    pub index: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// The nearest training sample of every generated sample.
///
/// Distances near zero, far below those between training samples ([`nearest_other`]), mean copies.
///
/// # Errors
/// Other widths, or no training sample.
pub fn nearest(generated: &Features, training: &Features) -> Result<Vec<Nearest>, EvalError> {
    at_least("nearest training image", 1, training.len())?;
    of(generated, training, |_, _| true)
}

/// The nearest other sample of every sample of one set: what [`nearest`] says of real images.
///
/// # Errors
/// Fewer than 2 samples.
pub fn nearest_other(set: &Features) -> Result<Vec<Nearest>, EvalError> {
    at_least("nearest other image", 2, set.len())?;
    of(set, set, |row, own| row != own)
}

/// The nearest of those rows of `training` that count for a sample.
fn of(
    samples: &Features,
    training: &Features,
    counts: impl Fn(usize, usize) -> bool,
) -> Result<Vec<Nearest>, EvalError> {
    same("nearest training image: width of features", training.width(), samples.width())?;
    let mut found = Vec::with_capacity(samples.len());
    for_each_distance_block(training, samples, |first, block| {
        for (column, own) in block.column_iter().zip(first..) {
            let rows = column.iter().enumerate().filter(|&(row, _)| counts(row, own));
            let smallest = rows.min_by(|a, b| a.1.total_cmp(b.1));
            found.extend(
                smallest.map(|(index, squared)| Nearest { index, distance: squared.sqrt() }),
            );
        }
    });
    Ok(found)
}
