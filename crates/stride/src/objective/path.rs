//! The straight path from noise to data, and batches whose rows lie on it.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::contract::{Batch, LossWeight, TrainingTargets};
use super::row::{Row, num_leading};
use crate::network_input::{NetworkInput, column};

/// The fraction of noise that is left at t = 1, so that the path never ends in a point mass.
///
/// # Source
/// kvfrans/shortcut-models, `targets_shortcut.py`.
const SIGMA_MIN: f64 = 1e-5;

/// A state on the path, x_t = (1 - (1 - sigma) t) x_0 + t x_1, with sigma = 1e-5.
///
/// `x_0` and `x_1` are `[B, C, H, W]`, `t` is `[B]`.
pub(super) fn interpolate(x_0: Tensor<4>, x_1: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
    let t = wide(t);
    x_0 * (t.clone() * (SIGMA_MIN - 1.0) + 1.0) + x_1 * t
}

/// The velocity of the path, dx_t/dt = x_1 - (1 - sigma) x_0.
pub(super) fn velocity(x_0: Tensor<4>, x_1: Tensor<4>) -> Tensor<4> {
    x_1 - x_0 * (1.0 - SIGMA_MIN)
}

/// The leading rows of a batch, whose targets need the teacher.
pub(super) struct Leading<'a> {
    pub(super) rows: &'a [Row],
    /// States on the path.
    pub(super) x_t: Tensor<4>,
    /// The path's velocities.
    pub(super) velocity: Tensor<4>,
}

impl Leading<'_> {
    /// Numbers of the rows, `[b]`.
    pub(super) fn column(&self, f: impl Fn(&Row) -> f64) -> Tensor<1> {
        column(self.rows, f, &self.x_t.device())
    }

    /// Some of them.
    pub(super) fn part(&self, rows: Range<usize>) -> Leading<'_> {
        let of = |tensor: &Tensor<4>| tensor.clone().narrow(0, rows.start, rows.len());
        let (x_t, velocity) = (of(&self.x_t), of(&self.velocity));
        Leading { rows: &self.rows[rows], x_t, velocity }
    }

    /// What the teacher is asked for: states, and every row's time and level, and its guidance scale.
    pub(super) fn input(
        &self,
        x_t: Tensor<4>,
        t: impl Fn(&Row) -> f64,
        log2_steps: impl Fn(&Row) -> f64,
    ) -> NetworkInput {
        let (t, log2_steps, device) = (self.column(t), self.column(log2_steps), x_t.device());
        NetworkInput { x_t, t, log2_steps, guidance_scale: guidance_scales(self.rows, &device) }
    }
}

/// Targets of a batch on the straight path, with uniform weight: leading rows get those of
/// `bootstrap`, the others the path's velocity.
pub(super) fn path_targets(
    batch: Batch<'_>,
    bootstrap: impl FnOnce(Leading<'_>) -> Tensor<4>,
) -> TrainingTargets {
    let Batch { rows, x_0, x_1, .. } = batch;
    let device: Device = x_0.device();
    let t = column(rows, |row| row.t, &device);
    let x_t = interpolate(x_0.clone(), x_1.clone(), t.clone());
    let target = velocity(x_0, x_1);
    let leading = num_leading(rows);
    let target = if leading == 0 {
        target
    } else {
        let made = bootstrap(Leading {
            rows: &rows[..leading],
            x_t: x_t.clone().narrow(0, 0, leading),
            velocity: target.clone().narrow(0, 0, leading),
        });
        put_first(made, target)
    };
    let input = NetworkInput {
        x_t,
        t,
        log2_steps: column(rows, |row| row.log2_steps, &device),
        guidance_scale: guidance_scales(rows, &device),
    };
    TrainingTargets { input, target, weight: LossWeight::default(), velocity: None }
}

/// The guidance scales of rows, if any is guided.
fn guidance_scales(rows: &[Row], device: &Device) -> Option<Tensor<1>> {
    let guided = rows.iter().any(|row| row.guidance_scale != 1.0);
    guided.then(|| column(rows, |row| row.guidance_scale, device))
}

/// `made`, and those rows of `all` that come after as many.
pub(super) fn put_first(made: Tensor<4>, all: Tensor<4>) -> Tensor<4> {
    let (first, rows) = (made.dims()[0], all.dims()[0]);
    match rows - first {
        0 => made,
        rest => Tensor::cat(vec![made, all.narrow(0, first, rest)], 0),
    }
}

/// A column `[B]` as a factor of `[B, C, H, W]`.
pub(super) fn wide(column: Tensor<1>) -> Tensor<4> {
    column.reshape([-1, 1, 1, 1])
}
