//! A residual branch behind a gate, in one pass.

use rayon::prelude::*;

use crate::parallel_init::in_chunks;
use crate::samples::{sample_len, stretch_len};
use crate::vectorized::vectorized;

/// `x + gate y`: `x`, `y` and the result are `[B, T, D]`, `gate` is `[B, D]`.
///
/// # Panics
/// The lengths do not fit together.
pub fn forward(width: usize, x: &[f32], y: &[f32], gate: &[f32]) -> Vec<f32> {
    let sample = sample_len("gated_residual", width, x.len(), gate.len());
    assert_eq!(x.len(), y.len(), "gated_residual: lengths differ");
    let stretch = stretch_len(width, x.len(), sample);
    in_chunks(x.len(), stretch, |i, out| {
        let row = i * stretch / sample;
        let place = i * stretch..i * stretch + out.len();
        let gate = &gate[row * width..(row + 1) * width];
        forward_rows(gate, &x[place.clone()], &y[place], out);
    })
}

/// The gradients of [`forward`] with respect to `y` (`gate grad`) and `gate` (`sum over T of
/// y grad`); that of `x` is `grad` itself.
///
/// # Panics
/// The lengths do not fit together.
pub fn backward(width: usize, y: &[f32], gate: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let sample = sample_len("gated_residual", width, y.len(), gate.len());
    assert_eq!(y.len(), grad.len(), "gated_residual: lengths differ");
    let (mut grad_y, mut grad_gate) = (vec![0.0; y.len()], vec![0.0; gate.len()]);
    if sample > 0 {
        grad_y
            .par_chunks_mut(sample)
            .zip(grad_gate.par_chunks_mut(width))
            .zip(y.par_chunks(sample).zip(grad.par_chunks(sample)))
            .zip(gate.par_chunks(width))
            .for_each(|(((grad_y, grad_gate), (y, grad)), gate)| {
                backward_rows(gate, y, grad, grad_y, grad_gate);
            });
    }
    (grad_y, grad_gate)
}

vectorized! {
    fn forward_rows(gate: &[f32], x: &[f32], y: &[f32], out: &mut [f32]) {
        let width = gate.len();
        let rows = x.chunks_exact(width).zip(y.chunks_exact(width));
        for ((x, y), out) in rows.zip(out.chunks_exact_mut(width)) {
            for (((out, &x), &y), &gate) in out.iter_mut().zip(x).zip(y).zip(gate) {
                *out = x + gate * y;
            }
        }
    }

    fn backward_rows(
        gate: &[f32],
        y: &[f32],
        grad: &[f32],
        grad_y: &mut [f32],
        grad_gate: &mut [f32],
    ) {
        let width = gate.len();
        let rows = y.chunks_exact(width).zip(grad.chunks_exact(width));
        for ((y, grad), grad_y) in rows.zip(grad_y.chunks_exact_mut(width)) {
            for ((((grad_y, grad_gate), &y), &grad), &gate) in
                grad_y.iter_mut().zip(&mut *grad_gate).zip(y).zip(grad).zip(gate)
            {
                *grad_y = gate * grad;
                *grad_gate += y * grad;
            }
        }
    }
}
