//! Kernel distance (KID) with error bars.

use nalgebra::DMatrix;
use stride::noise::{below, keyed_rng, purpose};

use crate::error::{at_least, same};
use crate::{EvalError, Features};

/// Mean and deviation over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelDistance {
    /// Mean over the subsets.
    pub mean: f64,
    /// Standard deviation over the subsets (divided by their number, as numpy does).
    pub std: f64,
}

/// The unbiased squared maximum mean discrepancy with k(x, y) = (x.y / D + 1)^3 over random subsets.
///
/// MMD^2 = sum_{i != j} k(x_i, x_j) / (m (m - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1))
/// - 2 sum_{i, j} k(x_i, y_j) / m^2. Subsets are drawn without replacement from (seed, subset).
///
/// # Errors
/// Other widths, a subset of fewer than 2, or larger than a set.
///
/// # Source
/// Binkowski et al. 2018 (arXiv 1801.01401); conventions of torch-fidelity `metric_kid.py`.
///
/// # Deviations
/// Subsets come from our own generator, so that numbers agree within the error bars, and exactly
/// where a subset is the whole set.
pub fn kernel_distance(
    a: &Features,
    b: &Features,
    subsets: usize,
    subset_size: usize,
    seed: u64,
) -> Result<KernelDistance, EvalError> {
    same("kernel distance: width of features", a.width(), b.width())?;
    at_least("kernel distance: subset", 2, subset_size)?;
    at_least("kernel distance: number of subsets", 1, subsets)?;
    at_least("kernel distance", subset_size, a.len().min(b.len()))?;
    let values: Vec<f64> = (0..subsets)
        .map(|subset| {
            let pick = |set: &Features, side| {
                set.select(&without_replacement(set.len(), subset_size, seed, subset as u64, side))
            };
            squared_mmd(&pick(a, 0), &pick(b, 1))
        })
        .collect();
    let mean = values.iter().sum::<f64>() / subsets as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / subsets as f64;
    Ok(KernelDistance { mean, std: variance.sqrt() })
}

fn squared_mmd(a: &Features, b: &Features) -> f64 {
    let (x, y) = (a.matrix(), b.matrix());
    let m = x.ncols() as f64;
    let kernel = |left: &DMatrix<f64>, right: &DMatrix<f64>| {
        left.tr_mul(right).map(|product| (product / left.nrows() as f64 + 1.0).powi(3))
    };
    let off_diagonal = |k: DMatrix<f64>| k.sum() - k.trace();
    let within = off_diagonal(kernel(&x, &x)) + off_diagonal(kernel(&y, &y));
    within / (m * (m - 1.0)) - 2.0 * kernel(&x, &y).sum() / (m * m)
}

/// The first `size` places of a shuffle of `0..count`.
fn without_replacement(count: usize, size: usize, seed: u64, draw: u64, side: u64) -> Vec<usize> {
    let mut rng = keyed_rng(seed, purpose::EVALUATION, draw, side);
    let mut indices: Vec<usize> = (0..count).collect();
    for place in 0..size {
        indices.swap(place, place + below(&mut rng, count - place));
    }
    indices.truncate(size);
    indices
}
