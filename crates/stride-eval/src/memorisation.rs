//! Distance to the nearest training image.

use crate::error::{at_least, same};
use crate::features::squared_distances;
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
/// Distances near zero, far below those of held-out pictures, mean copies.
///
/// # Errors
/// Other widths, or no training sample.
pub fn nearest(generated: &Features, training: &Features) -> Result<Vec<Nearest>, EvalError> {
    same("nearest training image: width of features", training.width(), generated.width())?;
    at_least("nearest training image", 1, training.len())?;
    let distances = squared_distances(training, generated);
    let smallest = |column: nalgebra::DVectorView<'_, f64>| {
        let (index, squared) = column.argmin();
        Nearest { index, distance: squared.sqrt() }
    };
    Ok(distances.column_iter().map(smallest).collect())
}
