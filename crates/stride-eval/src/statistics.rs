//! Mean and covariance of features, as sums that merge exactly over parts.

use nalgebra::{DMatrix, DVector};

use crate::error::{at_least, same};
use crate::{EvalError, Features};

/// n, sum x and sum x x^T of feature vectors, in f64.
///
/// Sums are taken around a fixed origin (zero), so that parts merge by addition alone.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSums {
    count: usize,
    sum: DVector<f64>,
    outer: DMatrix<f64>,
}

/// What a Frechet distance compares: a Gaussian, and how many samples it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// The mean, D numbers.
    pub mean: DVector<f64>,
    /// The covariance, D x D.
    pub covariance: DMatrix<f64>,
    /// Number of samples, where it is known; files of other packages do not tell.
    pub count: Option<usize>,
}

impl FeatureSums {
    /// Sums over nothing.
    pub fn new(width: usize) -> Self {
        Self { count: 0, sum: DVector::zeros(width), outer: DMatrix::zeros(width, width) }
    }

    /// Adds feature vectors.
    ///
    /// # Errors
    /// The widths differ.
    pub fn add(&mut self, features: &Features) -> Result<(), EvalError> {
        same("width of features", self.sum.len(), features.width())?;
        let columns = features.matrix();
        self.count += features.len();
        self.sum += columns.column_sum();
        self.outer.gemm(1.0, &columns, &columns.transpose(), 1.0);
        Ok(())
    }

    /// Adds the sums of another part.
    ///
    /// # Errors
    /// The widths differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), EvalError> {
        same("width of features", self.sum.len(), other.sum.len())?;
        self.count += other.count;
        self.sum += &other.sum;
        self.outer += &other.outer;
        Ok(())
    }

    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// mean = sum / n and covariance = (outer - n mean mean^T) / (n - 1), as `numpy.cov` has it.
    ///
    /// # Errors
    /// Fewer than two vectors.
    pub fn gaussian(&self) -> Result<Gaussian, EvalError> {
        at_least("covariance of features", 2, self.count)?;
        let n = self.count as f64;
        let mean = &self.sum / n;
        let covariance = (&self.outer - &mean * mean.transpose() * n) / (n - 1.0);
        Ok(Gaussian { mean, covariance, count: Some(self.count) })
    }
}

impl Gaussian {
    /// Mean and covariance of a set of features.
    ///
    /// # Errors
    /// Fewer than two vectors.
    pub fn of(features: &Features) -> Result<Self, EvalError> {
        let mut sums = FeatureSums::new(features.width());
        sums.add(features)?;
        sums.gaussian()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_merge_to_the_whole() {
        let values: Vec<f32> = (0..60).map(|i| ((i * 37 % 23) as f32).sin()).collect();
        let all = Features::new("test", 4, values).expect("finite");
        let whole = Gaussian::of(&all).expect("enough");
        let mut merged = FeatureSums::new(4);
        for part in [&[0, 1, 2][..], &[3], &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]] {
            let mut sums = FeatureSums::new(4);
            sums.add(&all.select(part)).expect("same width");
            merged.merge(&sums).expect("same width");
        }
        let merged = merged.gaussian().expect("enough");
        assert!((whole.covariance - merged.covariance).amax() < 1e-12);
        assert_eq!(merged.count, Some(15));
    }

    #[test]
    fn one_vector_has_no_covariance_and_widths_must_agree() {
        let one = Features::new("test", 3, vec![1.0, 2.0, 3.0]).expect("finite");
        let message = Gaussian::of(&one).expect_err("too few").to_string();
        assert!(message.contains("at least 2 samples, found 1"), "{message}");
        let message = FeatureSums::new(2).add(&one).expect_err("other width").to_string();
        assert!(message.contains("expected 2, found 3"), "{message}");
    }
}
