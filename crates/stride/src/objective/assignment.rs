//! Exact optimal transport between the noise and the images of a batch.

/// Reorders the noise of a batch so that the sum of squared distances |x_1 - x_0|^2 is least.
///
/// `x_0` and `x_1` hold `num_rows` rows one after the other. The result depends on the values
/// alone.
///
/// # Source
/// Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport
/// (Tong et al. 2023, arXiv 2302.00482), section 3.2.3.
pub(super) fn pair_by_transport(x_0: &mut [f32], x_1: &[f32], num_rows: usize) {
    let size = x_0.len() / num_rows.max(1);
    if size == 0 {
        return;
    }
    let rows: Vec<Vec<f32>> = x_0.chunks_exact(size).map(<[f32]>::to_vec).collect();
    // |x_1 - x_0|^2 differs from -2 x_0 x_1 by sums that no assignment changes.
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let costs: Vec<Vec<f64>> = x_1
        .chunks_exact(size)
        .map(|image| rows.iter().map(|noise| -dot(noise, image)).collect())
        .collect();
    // Latents that are not finite have no distance; their loss will tell.
    if !costs.iter().flatten().all(|cost| cost.is_finite()) {
        return;
    }
    for (place, row) in x_0.chunks_exact_mut(size).zip(assign(&costs)) {
        place.copy_from_slice(&rows[row]);
    }
}

/// The column of every row in the assignment of least total cost, for a square matrix of finite
/// numbers.
///
/// One row after the other is added along the shortest augmenting path; potentials keep the
/// reduced costs from being negative. O(n^3).
///
/// # Source
/// A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems (Jonker
/// and Volgenant 1987), the augmentation phase.
fn assign(costs: &[Vec<f64>]) -> Vec<usize> {
    let n = costs.len();
    let (mut row_potential, mut column_potential) = (vec![0.0; n], vec![0.0; n]);
    let mut row_of: Vec<Option<usize>> = vec![None; n];
    for first in 0..n {
        let mut distance = vec![f64::INFINITY; n];
        let mut previous: Vec<Option<usize>> = vec![None; n];
        let mut is_done = vec![false; n];
        let (mut row, mut reached, mut from) = (first, 0.0, None);
        // The free column at the end of the path.
        let mut end = loop {
            let (mut nearest, mut least) = (0, f64::INFINITY);
            let base = reached - row_potential[row];
            for column in (0..n).filter(|&column| !is_done[column]) {
                let length = base + costs[row][column] - column_potential[column];
                if length < distance[column] {
                    (distance[column], previous[column]) = (length, from);
                }
                if distance[column] < least {
                    (nearest, least) = (column, distance[column]);
                }
            }
            is_done[nearest] = true;
            reached = least;
            match row_of[nearest] {
                Some(next) => (row, from) = (next, Some(nearest)),
                None => break nearest,
            }
        };
        row_potential[first] += reached;
        for column in (0..n).filter(|&column| is_done[column] && column != end) {
            let slack = reached - distance[column];
            column_potential[column] -= slack;
            if let Some(row) = row_of[column] {
                row_potential[row] += slack;
            }
        }
        while let Some(before) = previous[end] {
            row_of[end] = row_of[before];
            end = before;
        }
        row_of[end] = Some(first);
    }
    let mut column_of = vec![0; n];
    for (column, row) in row_of.into_iter().enumerate() {
        column_of[row.expect("every column has its row")] = column;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{fill_normal, keyed_rng, uniform};

    fn total(costs: &[Vec<f64>], columns: &[usize]) -> f64 {
        costs.iter().zip(columns).map(|(row, &column)| row[column]).sum()
    }

    /// Every permutation, by exchange.
    fn least(costs: &[Vec<f64>], columns: &mut Vec<usize>, first: usize) -> f64 {
        if first == columns.len() {
            return total(costs, columns);
        }
        let mut best = f64::INFINITY;
        for other in first..columns.len() {
            columns.swap(first, other);
            best = best.min(least(costs, columns, first + 1));
            columns.swap(first, other);
        }
        best
    }

    #[test]
    fn no_permutation_costs_less() {
        for n in 1..=7 {
            for case in 0..30 {
                let mut rng = keyed_rng(n as u64, case, 0, 0);
                let costs: Vec<Vec<f64>> =
                    (0..n).map(|_| (0..n).map(|_| uniform(&mut rng) - 0.5).collect()).collect();
                let columns = assign(&costs);
                let mut sorted = columns.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
                let best = least(&costs, &mut (0..n).collect(), 0);
                assert!(total(&costs, &columns) <= best + 1e-12, "{n}, {case}");
            }
        }
    }

    #[test]
    fn noise_moves_to_the_image_it_is_near() {
        const ROWS: usize = 16;
        let mut x_1 = vec![0.0; 3 * ROWS];
        fill_normal(&mut keyed_rng(3, 0, 0, 0), &mut x_1);
        // The images themselves, in another order.
        let mut x_0: Vec<f32> = x_1.chunks_exact(3).rev().flatten().copied().collect();
        pair_by_transport(&mut x_0, &x_1, ROWS);
        assert_eq!(x_0, x_1);
    }
}
