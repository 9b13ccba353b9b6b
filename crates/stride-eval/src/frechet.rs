//! Frechet distance between Gaussians.

use nalgebra::DMatrix;
use stride::noise::{below, keyed_rng, purpose};

use crate::error::same;
use crate::statistics::Gaussian;
use crate::{EvalError, Features};

/// Samples of a [`bootstrap_interval`] at most: beyond these, its ends move less than the distance itself is uncertain.
pub const MAX_DRAWS: usize = 10_000;

/// What is added to the diagonals of the covariances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EpsilonRule {
    /// Nothing: the symmetric form is finite for singular covariances too. pytorch-fid and
    /// clean-fid add 1e-6 only where their root of the product is not finite.
    None,
    /// This much to both, always, as the reference implementation of shortcut models does with 1e-6.
    Always(f64),
}

/// Samples below which a distance over features of a width is not to be trusted: the covariance
/// is singular.
pub fn is_rank_deficient(width: usize, count: usize) -> bool {
    count <= width
}

/// The squared Frechet distance between two Gaussians.
///
/// d^2 = |m_a - m_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2)).
///
/// With S_a = R^T R (Cholesky with pivots, which stops at the rank of S_a), the eigenvalues of
/// S_a S_b are those of the symmetric R S_b R^T and zeros, so that the trace is the sum of their
/// roots: exact for singular covariances, and never complex.
///
/// # Errors
/// The widths differ.
///
/// # Source
/// Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500).
///
/// # Deviations
/// The packages take a general matrix square root and drop its imaginary part. For equal sets their distance may lie
/// below 0, by rounding or since the epsilon is in the covariances but not in their traces; here it is 0 then.
pub fn frechet_distance(a: &Gaussian, b: &Gaussian, rule: EpsilonRule) -> Result<f64, EvalError> {
    let width = a.mean.len();
    same("width of the statistics", width, b.mean.len())?;
    let shifted = |gaussian: &Gaussian| match rule {
        EpsilonRule::None => gaussian.covariance.clone(),
        EpsilonRule::Always(epsilon) => {
            &gaussian.covariance + DMatrix::identity(width, width) * epsilon
        }
    };
    let (s_a, s_b) = (shifted(a), shifted(b));
    let root = pivoted_cholesky(&s_a); // [D, r]
    let inner = root.tr_mul(&(&s_b * &root)); // [r, r]
    let trace_of_root = match inner.nrows() {
        0 => 0.0,
        _ => inner.symmetric_eigenvalues().iter().map(|value| value.max(0.0).sqrt()).sum::<f64>(),
    };
    // The traces are of the covariances as they came, as in the reference.
    let traces = a.covariance.trace() + b.covariance.trace();
    let distance = (&a.mean - &b.mean).norm_squared() + traces - 2.0 * trace_of_root;
    // Minus 0 plus 0 is 0.
    Ok(distance.max(0.0) + 0.0)
}

/// A 95% interval for the distance: how far the middle 95% of distances lie around their mean when the samples are
/// drawn again with replacement, put around the distance itself; the reference side stays fixed.
///
/// # Errors
/// Fewer than two samples, other widths, or `draws` outside `1..=`[`MAX_DRAWS`].
///
/// # Source
/// The percentile bootstrap (Efron 1979).
///
/// # Deviations
/// Samples that are drawn twice make the drawn sets smaller, and small sets lie farther from everything, so that plain
/// percentiles lie above the distance, for few samples wholly. Moving their mean to the distance takes this out.
pub fn bootstrap_interval(
    samples: &Features,
    reference: &Gaussian,
    rule: EpsilonRule,
    draws: usize,
    seed: u64,
) -> Result<[f64; 2], EvalError> {
    crate::error::at_least("bootstrap interval", 1, draws)?;
    if draws > MAX_DRAWS {
        return Err(EvalError::TooMany {
            what: "bootstrap samples",
            most: MAX_DRAWS,
            found: draws,
        });
    }
    let mut distances = (0..draws)
        .map(|draw| {
            let mut rng = keyed_rng(seed, purpose::EVALUATION, draw as u64, 0);
            let indices: Vec<usize> =
                (0..samples.len()).map(|_| below(&mut rng, samples.len())).collect();
            frechet_distance(&Gaussian::of(&samples.select(&indices))?, reference, rule)
        })
        .collect::<Result<Vec<_>, _>>()?;
    distances.sort_by(f64::total_cmp);
    let mean = distances.iter().sum::<f64>() / draws as f64;
    let shift = frechet_distance(&Gaussian::of(samples)?, reference, rule)? - mean;
    let at = |quantile: f64| distances[(quantile * (draws - 1) as f64).round() as usize];
    Ok([0.025, 0.975].map(|quantile| (at(quantile) + shift).max(0.0)))
}

/// L with S = L L^T for a symmetric positive semidefinite S, `[D, rank]`.
fn pivoted_cholesky(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let width = matrix.nrows();
    let mut diagonal: Vec<f64> = matrix.diagonal().iter().copied().collect();
    let smallest = diagonal.iter().fold(0.0f64, |a, &b| a.max(b)) * width as f64 * f64::EPSILON;
    let mut root = DMatrix::zeros(width, width);
    for rank in 0..width {
        let pivot = (0..width).max_by(|&i, &j| diagonal[i].total_cmp(&diagonal[j]));
        let Some(pivot) = pivot.filter(|&pivot| diagonal[pivot] > smallest) else {
            return root.columns(0, rank).into_owned();
        };
        let scale = diagonal[pivot].sqrt();
        let coefficients = root.view((pivot, 0), (1, rank)).transpose();
        let column = matrix.column(pivot) - root.columns(0, rank) * coefficients;
        root.set_column(rank, &(column / scale));
        for (row, left) in diagonal.iter_mut().enumerate() {
            *left -= root[(row, rank)] * root[(row, rank)];
        }
        diagonal[pivot] = f64::NEG_INFINITY;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DVector;

    fn diagonal(mean: &[f64], variance: &[f64]) -> Gaussian {
        Gaussian {
            mean: DVector::from_row_slice(mean),
            covariance: DMatrix::from_diagonal(&DVector::from_row_slice(variance)),
            count: None,
        }
    }

    #[test]
    fn known_distances() {
        let a = diagonal(&[0.0, 1.0, 0.0], &[4.0, 1.0, 0.0]);
        let b = diagonal(&[3.0, 1.0, 0.0], &[1.0, 9.0, 0.0]);
        // 9 + (2 - 1)^2 + (1 - 3)^2.
        let distance = frechet_distance(&a, &b, EpsilonRule::None).expect("same width");
        assert!((distance - 14.0).abs() < 1e-12, "{distance}");
        let none = frechet_distance(&a, &a, EpsilonRule::None).expect("same width");
        assert!(none.abs() < 1e-12, "{none}");
    }

    #[test]
    fn singular_covariances_are_exact_and_symmetric() {
        let features = |offset: f32| {
            let values = (0..5 * 8).map(|i| ((i * i) as f32 * 0.7 + offset).sin()).collect();
            Gaussian::of(&Features::new("test", 8, values).expect("finite")).expect("enough")
        };
        let (a, b) = (features(0.0), features(0.4));
        let there = frechet_distance(&a, &b, EpsilonRule::None).expect("same width");
        let back = frechet_distance(&b, &a, EpsilonRule::None).expect("same width");
        assert!(there > 0.0 && (there - back).abs() < 1e-7, "{there} {back}");
        let own = frechet_distance(&a, &a, EpsilonRule::None).expect("same width");
        assert!((0.0..1e-6).contains(&own), "{own}");
        let own = frechet_distance(&a, &a, EpsilonRule::Always(1e-3)).expect("same width");
        assert!(own == 0.0 && own.is_sign_positive(), "{own}");
        assert!(is_rank_deficient(8, 8) && !is_rank_deficient(8, 9));
    }
}
