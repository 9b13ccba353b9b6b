//! Joining the gradients of several shares of a batch, with the square of their norm.

use rayon::prelude::*;

use crate::lanes::sum_of_squares;
use crate::vectorized::vectorized;

/// Numbers that one task takes; they stay in the second-level cache.
const CHUNK: usize = 1 << 15;

/// Adds `others` to `sum` in place and returns the sum of the squares of the result.
///
/// Squares are summed in f64, first within stretches of fixed length and then from stretch to stretch,
/// so that the number of threads changes no bit of them.
///
/// # Panics
/// The lengths differ.
pub fn join(sum: &mut [f32], others: &[&[f32]]) -> f64 {
    for other in others {
        assert_eq!(sum.len(), other.len(), "gradients of two lengths for one parameter");
    }
    let squares: Vec<f64> = sum
        .par_chunks_mut(CHUNK)
        .enumerate()
        .map(|(i, sum)| {
            for other in others {
                add(sum, &other[i * CHUNK..][..sum.len()]);
            }
            squares_of(sum)
        })
        .collect();
    squares.iter().sum()
}

vectorized! {
    fn add(sum: &mut [f32], other: &[f32]) {
        for (sum, &other) in sum.iter_mut().zip(other) {
            *sum += other;
        }
    }

    fn squares_of(x: &[f32]) -> f64 {
        sum_of_squares(x)
    }
}

#[cfg(test)]
mod tests {
    use rayon::ThreadPoolBuilder;

    use super::*;

    #[test]
    fn shares_are_added_and_squared_alike_on_any_number_of_threads() {
        let share = |seed: usize| -> Vec<f32> {
            (0..100_003).map(|i| ((i * 7919 + seed * 31) % 3001) as f32 / 1e3 - 1.5).collect()
        };
        let shares = [share(0), share(1), share(2)];
        let run = |threads: usize| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut sum = shares[0].clone();
            let squares = pool.install(|| join(&mut sum, &[&shares[1], &shares[2]]));
            (sum, squares)
        };
        let (sum, squares) = run(1);
        assert_eq!(run(3), (sum.clone(), squares));
        let expected: Vec<f32> =
            (0..sum.len()).map(|i| shares[0][i] + shares[1][i] + shares[2][i]).collect();
        assert_eq!(sum, expected);
        let expected: f64 = sum.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        assert!((squares / expected - 1.0).abs() < 1e-13, "{squares} {expected}");
    }

    #[test]
    fn large_gradients_do_not_overflow_their_norm() {
        assert_eq!(join(&mut [3e30, 4e30], &[]).sqrt() as f32, 5e30);
    }
}
