//! The product of a SiLU and a value, the inner activation of gated feed-forward layers.

use crate::lanes::silu;
use crate::parallel_init::in_chunks;
use crate::vectorized::vectorized;

/// Numbers that one task reads.
const CHUNK: usize = 1 << 14;

/// `silu(a) b` for rows `[R, 2 W]` that hold `a` and `b` side by side; the result is `[R, W]`.
///
/// # Source
/// Shazeer, "GLU Variants Improve Transformer" (2020, arXiv 2002.05202), SwiGLU without its linear layers.
///
/// # Panics
/// The length is no multiple of `2 width`.
pub fn forward(width: usize, x: &[f32]) -> Vec<f32> {
    check(width, x);
    let rows = rows_of(width);
    in_chunks(x.len() / 2, rows * width, |index, y| {
        let first = index * rows * 2 * width;
        forward_rows(width, &x[first..first + 2 * y.len()], y);
    })
}

/// The gradient of [`forward`], `[R, 2 W]`, from that of the result: `grad b silu'(a)` beside
/// `grad silu(a)`.
///
/// # Panics
/// The lengths do not fit together.
pub fn backward(width: usize, x: &[f32], grad: &[f32]) -> Vec<f32> {
    check(width, x);
    assert_eq!(2 * grad.len(), x.len(), "swiglu: lengths differ");
    let rows = rows_of(width);
    in_chunks(x.len(), rows * 2 * width, |index, grad_x| {
        let first = index * rows * 2 * width;
        let of_rows = &grad[first / 2..(first + grad_x.len()) / 2];
        backward_rows(width, &x[first..first + grad_x.len()], of_rows, grad_x);
    })
}

fn check(width: usize, x: &[f32]) {
    let row = (2 * width).max(1);
    assert!(x.len().is_multiple_of(row), "swiglu: {} numbers in rows of {row}", x.len());
}

/// Rows that one task takes.
fn rows_of(width: usize) -> usize {
    (CHUNK / (2 * width).max(1)).max(1)
}

vectorized! {
    fn forward_rows(width: usize, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width)) {
            let (a, b) = x.split_at(width);
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = silu(a).0 * b;
            }
        }
    }

    fn backward_rows(width: usize, x: &[f32], grad: &[f32], grad_x: &mut [f32]) {
        let rows = x.chunks_exact(2 * width).zip(grad.chunks_exact(width));
        for ((x, grad), grad_x) in rows.zip(grad_x.chunks_exact_mut(2 * width)) {
            let ((a, b), (grad_a, grad_b)) = (x.split_at(width), grad_x.split_at_mut(width));
            let grads = grad_a.iter_mut().zip(grad_b);
            for (((&a, &b), &grad), (grad_a, grad_b)) in a.iter().zip(b).zip(grad).zip(grads) {
                let (y, slope) = silu(a);
                *grad_a = grad * b * slope;
                *grad_b = grad * y;
            }
        }
    }
}
