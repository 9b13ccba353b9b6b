//! Normalisation of every token followed by adaLN's shift and scale, in one pass.

use rayon::prelude::*;

use crate::lanes::{dot, sum};
use crate::parallel_init::in_chunks;
use crate::samples::{sample_len, stretch_len};
use crate::vectorized::vectorized;

/// Added to the mean square under a root, where a layer has no constant of its own.
pub const EPSILON: f64 = 1e-6;

/// What is divided out of every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Mean and standard deviation.
    Layer,
    /// Root mean square.
    Rms,
}

/// `y = norm(x) (1 + scale) + shift`.
///
/// `x` and the result are `[B, T, D]`, `shift` and `scale` `[B, D]`; `norm` subtracts the mean over D
/// ([`Norm::Layer`] only) and divides by `sqrt(mean square + epsilon)`, without parameters of its own.
///
/// # Panics
/// The lengths do not fit together.
pub fn forward(
    norm: Norm,
    epsilon: f32,
    width: usize,
    x: &[f32],
    shift: &[f32],
    scale: &[f32],
) -> Vec<f32> {
    let sample = sample_len("norm_modulate", width, x.len(), scale.len());
    assert_eq!(shift.len(), scale.len(), "norm_modulate: lengths differ");
    let stretch = stretch_len(width, x.len(), sample);
    in_chunks(x.len(), stretch, |i, y| {
        let row = i * stretch / sample;
        let vector = row * width..(row + 1) * width;
        let x = &x[i * stretch..][..y.len()];
        forward_rows(norm, epsilon, &shift[vector.clone()], &scale[vector], x, y);
    })
}

/// The gradients of [`forward`]: of `x` as `[B, T, D]`, of `shift` and `scale` as `[B, D]`.
///
/// With `h` the normalised token, `r` the factor that normalised it and `g = grad_y (1 + scale)`:
/// ```text
/// grad_x = r (g - mean(g) - h mean(g h))        (without mean(g) for the RMS norm)
/// grad_shift = sum over T of grad_y             grad_scale = sum over T of grad_y h
/// ```
///
/// # Panics
/// The lengths do not fit together.
pub fn backward(
    norm: Norm,
    epsilon: f32,
    width: usize,
    x: &[f32],
    scale: &[f32],
    grad_y: &[f32],
) -> Gradients {
    let sample = sample_len("norm_modulate", width, x.len(), scale.len());
    assert_eq!(x.len(), grad_y.len(), "norm_modulate: lengths differ");
    let mut grads = Gradients {
        x: vec![0.0; x.len()],
        shift: vec![0.0; scale.len()],
        scale: vec![0.0; scale.len()],
    };
    if sample == 0 {
        return grads;
    }
    grads
        .x
        .par_chunks_mut(sample)
        .zip(grads.shift.par_chunks_mut(width).zip(grads.scale.par_chunks_mut(width)))
        .zip(x.par_chunks(sample).zip(grad_y.par_chunks(sample)))
        .zip(scale.par_chunks(width))
        .for_each(|(((grad_x, (grad_shift, grad_scale)), (x, grad_y)), scale)| {
            backward_rows(norm, epsilon, scale, x, grad_y, grad_x, grad_shift, grad_scale);
        });
    grads
}

/// What [`backward`] gives.
#[derive(Debug)]
pub struct Gradients {
    /// Of the tokens, `[B, T, D]`.
    pub x: Vec<f32>,
    /// Of the shift, `[B, D]`.
    pub shift: Vec<f32>,
    /// Of the scale, `[B, D]`.
    pub scale: Vec<f32>,
}

/// Mean (0 for the RMS norm) and the factor `1 / sqrt(mean square + epsilon)` of one token.
#[inline(always)]
fn statistics(norm: Norm, epsilon: f32, x: &[f32]) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = match norm {
        Norm::Layer => sum(x, |x| x) / count,
        Norm::Rms => 0.0,
    };
    let mean_square = sum(x, |x| (x - mean) * (x - mean)) / count;
    (mean, 1.0 / (mean_square + epsilon).sqrt())
}

vectorized! {
    fn forward_rows(
        norm: Norm,
        epsilon: f32,
        shift: &[f32],
        scale: &[f32],
        x: &[f32],
        y: &mut [f32],
    ) {
        let width = scale.len();
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let (mean, factor) = statistics(norm, epsilon, x);
            for (((y, &x), &shift), &scale) in y.iter_mut().zip(x).zip(shift).zip(scale) {
                *y = (x - mean) * factor * (1.0 + scale) + shift;
            }
        }
    }

    fn backward_rows(
        norm: Norm,
        epsilon: f32,
        scale: &[f32],
        x: &[f32],
        grad_y: &[f32],
        grad_x: &mut [f32],
        grad_shift: &mut [f32],
        grad_scale: &mut [f32],
    ) {
        let width = scale.len();
        let count = width as f32;
        // One token's normalised values and g, which stay in the first cache.
        let mut normalised = vec![0.0; width];
        let mut g = vec![0.0; width];
        let rows = x.chunks_exact(width).zip(grad_y.chunks_exact(width));
        for ((x, grad_y), grad_x) in rows.zip(grad_x.chunks_exact_mut(width)) {
            let (mean, factor) = statistics(norm, epsilon, x);
            for ((((h, g), &x), &grad_y), &scale) in
                normalised.iter_mut().zip(&mut g).zip(x).zip(grad_y).zip(scale)
            {
                *h = (x - mean) * factor;
                *g = grad_y * (1.0 + scale);
            }
            for (((grad_shift, grad_scale), &grad_y), &h) in
                grad_shift.iter_mut().zip(&mut *grad_scale).zip(grad_y).zip(&normalised)
            {
                *grad_shift += grad_y;
                *grad_scale += grad_y * h;
            }
            let mean_g = match norm {
                Norm::Layer => sum(&g, |g| g) / count,
                Norm::Rms => 0.0,
            };
            let mean_gh = dot(&g, &normalised) / count;
            for ((grad_x, &g), &h) in grad_x.iter_mut().zip(&g).zip(&normalised) {
                *grad_x = factor * (g - mean_g - h * mean_gh);
            }
        }
    }
}
