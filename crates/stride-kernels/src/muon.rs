//! One step of Muon: momentum whose matrix is made orthogonal before it is applied.

use rayon::prelude::*;

use crate::gemm::{self, Compute, Epilogue, MatrixRef, Rhs};
use crate::lanes::sum_of_squares;
use crate::vectorized::vectorized;

/// What a step needs beside the numbers.
#[derive(Clone, Copy, Debug)]
pub struct MuonStep {
    /// Factor on the gradient, for clipping.
    pub gradient_scale: f32,
    /// Factor on the orthogonal update.
    pub learning_rate: f32,
    /// Decay rate of the momentum.
    pub momentum: f32,
    /// The fraction of every value that is taken away: learning rate times weight decay.
    pub decay: f32,
    /// The compute dtype of the products of the Newton-Schulz iteration.
    pub compute: Compute,
}

/// Iterations of Newton-Schulz.
pub(crate) const ITERATIONS: usize = 5;
/// Coefficients of the odd quintic polynomial that drives singular values towards 1.
pub(crate) const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Norms below it count as it.
pub(crate) const LEAST_NORM: f64 = 1e-7;
/// Numbers that one task takes.
const CHUNK: usize = 1 << 15;
/// Rows of a symmetric product that are made at a time.
const BAND: usize = 128;

/// Updates a matrix `[rows, cols]` and its momentum in place.
///
/// With `g` the gradient times its factor and `u` Nesterov's momentum:
/// ```text
/// buffer <- momentum buffer + (1 - momentum) g        u = momentum buffer + (1 - momentum) g
/// value <- (1 - decay) value - lr orthogonalize(u)
/// ```
/// Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the
/// averaged momentum of `torch.optim.Muon`.
///
/// # Panics
/// The lengths do not fit the shape.
pub fn step(
    value: &mut [f32],
    gradient: &[f32],
    buffer: &mut [f32],
    shape: [usize; 2],
    with: MuonStep,
) {
    let length = shape[0] * shape[1];
    let lengths = [value.len(), gradient.len(), buffer.len()];
    assert_eq!(lengths, [length; 3], "muon: lengths of a matrix of {shape:?}");
    let mut update = vec![0.0; length];
    update
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK).zip(buffer.par_chunks_mut(CHUNK)))
        .for_each(|(update, (gradient, buffer))| momentum_chunk(gradient, buffer, update, with));
    let update = orthogonalize(update, shape, with.compute);
    value
        .par_chunks_mut(CHUNK)
        .zip(update.par_chunks(CHUNK))
        .for_each(|(value, update)| apply_chunk(value, update, with));
}

/// Replaces the singular values of a matrix `[rows, cols]` by values near 1 (0.7 to 1.2), keeping
/// its singular vectors.
///
/// Five iterations of `X <- a X + (b A + c A^2) X`, `A = X X^T`, from `X = M / ||M||`; for a matrix
/// taller than wide `X <- a X + X (b A + c A^2)`, `A = X^T X`, which is the same of its transpose.
///
/// Source: as [`step`]. Deviation: with [`Compute::Bf16`] factors of products are rounded to
/// bfloat16, but what lies between the products stays f32.
///
/// # Panics
/// The length is not that of the shape.
pub fn orthogonalize(matrix: Vec<f32>, [rows, cols]: [usize; 2], compute: Compute) -> Vec<f32> {
    assert_eq!(matrix.len(), rows * cols, "muon: length of a matrix {rows} x {cols}");
    let squares: Vec<f64> = matrix.par_chunks(CHUNK).map(squares_of).collect();
    let norm = squares.iter().sum::<f64>().sqrt().max(LEAST_NORM);
    let mut x = matrix;
    scale_by(&mut x, (1.0 / norm) as f32);
    let (is_tall, side) = (rows > cols, rows.min(cols));
    let mut next = vec![0.0; x.len()];
    let (mut gram, mut polynomial) = (vec![0.0; side * side], vec![0.0; side * side]);
    let [a, b, c] = QUINTIC;
    for _ in 0..ITERATIONS {
        let whole = MatrixRef::row_major(&x, rows, cols);
        let short = if is_tall { whole.transposed() } else { whole };
        symmetric_product(short, short.transposed(), compute, &mut gram);
        let square = MatrixRef::row_major(&gram, side, side);
        symmetric_product(square, square, compute, &mut polynomial);
        for (p, &g) in polynomial.iter_mut().zip(&gram) {
            *p = c * *p + b * g;
        }
        next.copy_from_slice(&x);
        scale_by(&mut next, a);
        let polynomial = MatrixRef::row_major(&polynomial, side, side);
        let (left, right) = if is_tall { (whole, polynomial) } else { (polynomial, whole) };
        let epilogue = Epilogue { accumulate: true, ..Epilogue::default() };
        gemm::matmul(left, Rhs::Plain(right), compute, &epilogue, &mut next, cols);
        std::mem::swap(&mut x, &mut next);
    }
    x
}

/// `c = a b` for a product that is symmetric: what lies on and left of the diagonal, in bands of rows,
/// and the rest copied from it.
fn symmetric_product(a: MatrixRef, b: MatrixRef, compute: Compute, c: &mut [f32]) {
    let side = a.rows;
    for first in (0..side).step_by(BAND) {
        let end = (first + BAND).min(side);
        let band = MatrixRef { data: &a.data[first * a.row_stride..], rows: end - first, ..a };
        let left = MatrixRef { cols: end, ..b };
        let rows = &mut c[first * side..];
        gemm::matmul(band, Rhs::Plain(left), compute, &Epilogue::default(), rows, side);
    }
    for row in 0..side {
        for col in row + 1..side {
            c[row * side + col] = c[col * side + row];
        }
    }
}

fn scale_by(x: &mut [f32], factor: f32) {
    x.par_chunks_mut(CHUNK).for_each(|x| x.iter_mut().for_each(|x| *x *= factor));
}

vectorized! {
    fn momentum_chunk(gradient: &[f32], buffer: &mut [f32], update: &mut [f32], with: MuonStep) {
        let (keep, take) = (with.momentum, (1.0 - with.momentum) * with.gradient_scale);
        for ((update, &gradient), buffer) in update.iter_mut().zip(gradient).zip(buffer) {
            *buffer = keep * *buffer + take * gradient;
            *update = keep * *buffer + take * gradient;
        }
    }

    fn apply_chunk(value: &mut [f32], update: &[f32], with: MuonStep) {
        for (value, &update) in value.iter_mut().zip(update) {
            *value = (1.0 - with.decay) * *value - with.learning_rate * update;
        }
    }

    fn squares_of(x: &[f32]) -> f64 {
        sum_of_squares(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * i * 31 + i * 7919) % 3001) as f32 / 1000.0 - 1.5).collect()
    }

    /// The iteration in f64, product by product.
    fn plain(matrix: &[f32], [rows, cols]: [usize; 2]) -> Vec<f64> {
        let multiply = |a: &[f64], b: &[f64], [m, k, n]: [usize; 3]| -> Vec<f64> {
            let at = |i: usize| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum();
            (0..m * n).map(at).collect()
        };
        let transpose = |a: &[f64], [m, n]: [usize; 2]| -> Vec<f64> {
            (0..m * n).map(|i| a[i % m * n + i / m]).collect()
        };
        let norm = matrix.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let mut x: Vec<f64> = matrix.iter().map(|&x| f64::from(x) / norm).collect();
        let [a, b, c] = QUINTIC.map(f64::from);
        for _ in 0..ITERATIONS {
            let gram = multiply(&x, &transpose(&x, [rows, cols]), [rows, cols, rows]);
            let square = multiply(&gram, &gram, [rows; 3]);
            let p: Vec<f64> = square.iter().zip(&gram).map(|(s, g)| c * s + b * g).collect();
            let product = multiply(&p, &x, [rows, rows, cols]);
            x = product.iter().zip(&x).map(|(p, x)| p + a * x).collect();
        }
        x
    }

    #[test]
    fn the_iteration_is_that_of_f64_for_every_shape() {
        for shape in [[6, 20], [20, 6], [8, 8], [150, 170], [300, 140], [1, 5]] {
            let matrix = numbers(shape[0] * shape[1]);
            // X X^T of a tall matrix is the larger product of the two, and gives the same.
            let expected = plain(&matrix, shape);
            let size = expected.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
            // b A + c A^2 nearly cancels and small singular values grow 3.4-fold an iteration, so the
            // rounding of the factors, 2e-3 of each in bf16, ends some twenty times larger.
            for (compute, tolerance) in [(Compute::F32, 1e-4), (Compute::Bf16, 0.1)] {
                let found = orthogonalize(matrix.clone(), shape, compute);
                let error = found
                    .iter()
                    .zip(&expected)
                    .fold(0.0, |error: f64, (x, y)| error.max((f64::from(*x) - y).abs()));
                assert!(
                    error < tolerance * size,
                    "{shape:?} {compute:?}: {error:.1e} of {size:.1e}"
                );
            }
        }
    }
}
