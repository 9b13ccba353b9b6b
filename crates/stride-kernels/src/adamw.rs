//! One step of AdamW in one pass over the numbers.

use rayon::prelude::*;

use crate::vectorized::vectorized;

/// What a step needs beside the numbers.
#[derive(Clone, Copy, Debug)]
pub struct AdamwStep {
    /// Factor on the gradient, for clipping.
    pub gradient_scale: f32,
    /// The learning rate.
    pub learning_rate: f32,
    /// Decay rates of the first and second moment.
    pub betas: [f32; 2],
    /// `1 - beta^t` for both, t counted from 1.
    pub corrections: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// The fraction of every value that is taken away: learning rate times weight decay.
    pub decay: f32,
}

/// Numbers that one task takes.
const CHUNK: usize = 1 << 15;

/// Updates values and moments in place.
///
/// With `g` the gradient times its factor:
/// ```text
/// m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
/// p <- (1 - decay) p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
/// ```
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), Algorithm 2.
///
/// # Panics
/// The lengths differ.
pub fn step(
    value: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    with: AdamwStep,
) {
    let lengths = [gradient.len(), first.len(), second.len()];
    assert_eq!([value.len(); 3], lengths, "adamw: lengths differ");
    value
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
        .for_each(|((value, gradient), (first, second))| {
            step_chunk(value, gradient, first, second, with);
        });
}

vectorized! {
    fn step_chunk(
        value: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        with: AdamwStep,
    ) {
        let [beta_1, beta_2] = with.betas;
        let rate = with.learning_rate / with.corrections[0];
        let root = 1.0 / with.corrections[1].sqrt();
        for (((value, &gradient), first), second) in
            value.iter_mut().zip(gradient).zip(first).zip(second)
        {
            let g = gradient * with.gradient_scale;
            *first = beta_1 * *first + (1.0 - beta_1) * g;
            *second = beta_2 * *second + (1.0 - beta_2) * g * g;
            let update = rate * *first / (second.sqrt() * root + with.epsilon);
            *value = (1.0 - with.decay) * *value - update;
        }
    }
}
