//! Precision, recall, density and coverage.

use crate::error::{at_least, same};
use crate::features::for_each_distance_block;
use crate::{EvalError, Features};

/// How two sets overlap; every value but density lies in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prdc {
    /// Fraction of generated samples within the balls of real ones: quality.
    pub precision: f64,
    /// Fraction of real samples within the balls of generated ones: variety.
    pub recall: f64,
    /// Mean number of real balls around a generated sample, divided by k.
    pub density: f64,
    /// Fraction of real samples whose ball holds a generated one.
    pub coverage: f64,
}

/// Overlap of generated and real features; a ball reaches to the k-th nearest sample of its own set.
///
/// Distances are made a block of samples at a time, so that memory grows with the number of samples alone.
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
    let (radii_real, radii_generated) = (radii(real, k), radii(generated, k));

    let (mut precise, mut balls) = (0usize, 0usize);
    let (mut recalled, mut covered) = (vec![false; real.len()], vec![false; real.len()]);
    for_each_distance_block(real, generated, |first, block| {
        for (g, column) in block.column_iter().enumerate() {
            let radius_generated = radii_generated[first + g];
            let mut own_balls = 0;
            for (r, &distance) in column.iter().enumerate() {
                if distance <= radii_real[r] {
                    own_balls += 1;
                    covered[r] = true;
                }
                recalled[r] |= distance <= radius_generated;
            }
            balls += own_balls;
            precise += usize::from(own_balls > 0);
        }
    });
    let fraction = |set: &[bool]| set.iter().filter(|&&is| is).count() as f64 / set.len() as f64;
    let n_generated = generated.len() as f64;
    Ok(Prdc {
        precision: precise as f64 / n_generated,
        recall: fraction(&recalled),
        density: balls as f64 / (k as f64 * n_generated),
        coverage: fraction(&covered),
    })
}

/// Squared distance of every sample to its k-th nearest other one.
fn radii(set: &Features, k: usize) -> Vec<f64> {
    let mut radii = Vec::with_capacity(set.len());
    for_each_distance_block(set, set, |first, block| {
        for (column, own) in block.column_iter().zip(first..) {
            let others = column.iter().enumerate().filter(|&(row, _)| row != own);
            let mut others: Vec<f64> = others.map(|(_, &distance)| distance).collect();
            radii.push(*others.select_nth_unstable_by(k - 1, f64::total_cmp).1);
        }
    });
    radii
}
