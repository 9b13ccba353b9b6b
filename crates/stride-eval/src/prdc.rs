//! Precision, recall, density and coverage.

use nalgebra::DMatrix;

use crate::error::{at_least, same};
use crate::features::squared_distances;
use crate::{EvalError, Features};

/// How two sets overlap; every value but density lies in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prdc {
    /// Share of generated samples within the balls of real ones: quality.
    pub precision: f64,
    /// Share of real samples within the balls of generated ones: variety.
    pub recall: f64,
    /// Mean number of real balls around a generated sample, divided by k.
    pub density: f64,
    /// Share of real samples whose ball holds a generated one.
    pub coverage: f64,
}

/// Overlap of generated and real features; a ball reaches to the k-th nearest sample of its own set.
///
/// # Errors
/// Other widths, or a set of at most k samples.
///
/// # Source
/// Kynkaanniemi et al. 2019 (arXiv 1904.06991), torch-fidelity `metric_prc.py` (k = 3); Naeem et al. 2020 (arXiv
/// 2002.09797) for density and coverage. A sample on the edge of a ball is inside.
pub fn prdc(generated: &Features, real: &Features, k: usize) -> Result<Prdc, EvalError> {
    same("precision and recall: width of features", real.width(), generated.width())?;
    at_least("precision and recall: neighbours", 1, k)?;
    at_least("precision and recall", k + 1, generated.len().min(real.len()))?;
    let radii_real = radii(&squared_distances(real, real), k);
    let radii_generated = radii(&squared_distances(generated, generated), k);
    let between = squared_distances(real, generated); // [real, generated]

    let (n_real, n_generated) = (real.len() as f64, generated.len() as f64);
    let count = |is: &mut dyn Iterator<Item = bool>| is.filter(|&is| is).count() as f64;
    let in_real = |r: usize, g: usize| between[(r, g)] <= radii_real[r];
    let precise = count(&mut (0..generated.len()).map(|g| (0..real.len()).any(|r| in_real(r, g))));
    let recalled = count(
        &mut (0..real.len())
            .map(|r| (0..generated.len()).any(|g| between[(r, g)] <= radii_generated[g])),
    );
    let covered = count(&mut (0..real.len()).map(|r| (0..generated.len()).any(|g| in_real(r, g))));
    let balls: f64 =
        (0..generated.len()).map(|g| count(&mut (0..real.len()).map(|r| in_real(r, g)))).sum();
    Ok(Prdc {
        precision: precise / n_generated,
        recall: recalled / n_real,
        density: balls / (k as f64 * n_generated),
        coverage: covered / n_real,
    })
}

/// Squared distance of every sample to its k-th nearest other one.
fn radii(distances: &DMatrix<f64>, k: usize) -> Vec<f64> {
    let kth = |(own, column): (usize, nalgebra::DVectorView<'_, f64>)| {
        let others = column.iter().enumerate().filter(|&(row, _)| row != own);
        let mut others: Vec<f64> = others.map(|(_, &distance)| distance).collect();
        *others.select_nth_unstable_by(k - 1, f64::total_cmp).1
    };
    distances.column_iter().enumerate().map(kth).collect()
}
