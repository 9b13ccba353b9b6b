//! A set of feature vectors.

use nalgebra::DMatrix;

use crate::EvalError;
use crate::error::same;

/// Feature vectors of one width, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// A set without vectors.
    pub fn empty(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// Vectors of `width` numbers, row by row.
    ///
    /// # Errors
    /// The length is no multiple of the width, or a value is not finite.
    pub fn new(what: &str, width: usize, values: Vec<f32>) -> Result<Self, EvalError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let found = if width == 0 { 0 } else { values.len() % width };
            return Err(EvalError::Width {
                what: format!("{what}: values of the last vector"),
                expected: width,
                found,
            });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(EvalError::NotFinite {
                what: what.to_owned(),
                index,
                value: f64::from(values[index]),
            }),
            None => Ok(Self { width, values }),
        }
    }

    /// Adds the vectors of another set.
    ///
    /// # Errors
    /// The widths differ.
    pub fn extend(&mut self, other: &Self) -> Result<(), EvalError> {
        same("width of features", self.width, other.width)?;
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// The vectors at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|&index| self.row(index).iter().copied()).collect();
        Self { width: self.width, values }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One vector.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    /// All vectors.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// The set as a matrix in f64 whose columns are the vectors.
    pub(crate) fn matrix(&self) -> DMatrix<f64> {
        DMatrix::from_iterator(self.width, self.len(), self.values.iter().map(|&v| f64::from(v)))
    }
}

/// Vectors whose distances to another set are in memory at once.
const BLOCK: usize = 256;

/// Squared Euclidean distances of all vectors of `a` to a block of `b` after the other, in f64.
///
/// `each` gets the index of the block's first vector and the distances `[a.len(), block]`:
/// |x - y|^2 = |x|^2 - 2 x.y + |y|^2, clamped at 0.
pub(crate) fn for_each_distance_block(
    a: &Features,
    b: &Features,
    mut each: impl FnMut(usize, &DMatrix<f64>),
) {
    let norms = |m: &DMatrix<f64>| m.column_iter().map(|c| c.norm_squared()).collect::<Vec<_>>();
    let columns_a = a.matrix();
    let norms_a = norms(&columns_a);
    for first in (0..b.len()).step_by(BLOCK) {
        let indices: Vec<usize> = (first..b.len().min(first + BLOCK)).collect();
        let columns_b = b.select(&indices).matrix();
        let mut distances = columns_a.tr_mul(&columns_b);
        for (mut column, norm_b) in distances.column_iter_mut().zip(norms(&columns_b)) {
            for (value, norm_a) in column.iter_mut().zip(&norms_a) {
                *value = (norm_a - 2.0 * *value + norm_b).max(0.0);
            }
        }
        each(first, &distances);
    }
}
