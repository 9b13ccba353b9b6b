//! The contract between objective and trainer.

use burn::tensor::{Device, Tensor};

use super::flow_matching::{interpolate, velocity};
use super::shortcut::bootstrap_targets;
use super::{ObjectiveConfig, Row, RowKind};

/// One training batch: the student sees `x_t`, `t`, `log2_steps` and the captions, and is
/// asked for `v_target`.
#[derive(Clone, Debug)]
pub struct TrainingTargets {
    /// States on the path, `[B, C, H, W]`.
    pub x_t: Tensor<4>,
    /// Times in [0, 1), `[B]`.
    pub t: Tensor<1>,
    /// Levels k of the step sizes d = 2^-k, `[B]`.
    pub log2_steps: Tensor<1>,
    /// What the student should answer, `[B, C, H, W]`, without gradient.
    pub v_target: Tensor<4>,
}

/// What the teacher is conditioned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditioning {
    /// The rows' own captions.
    Caption,
    /// The empty caption, for guidance.
    Null,
}

/// Builds the targets of a batch on a plain (not autodiff) device.
///
/// - `rows`: the plan of [`plan_rows`](super::plan_rows), self-consistency rows first
/// - `x_0`, `x_1`: noise and data, `[B, C, H, W]`
/// - `teacher`: x, t, level and conditioning of the self-consistency rows, in their order, to
///   velocities; not called when there are none
pub fn training_targets(
    config: &ObjectiveConfig,
    rows: &[Row],
    x_0: Tensor<4>,
    x_1: Tensor<4>,
    teacher: &dyn Fn(Tensor<4>, Tensor<1>, Tensor<1>, Conditioning) -> Tensor<4>,
) -> TrainingTargets {
    let device = x_0.device();
    let column = |f: &dyn Fn(&Row) -> f64| column(rows, f, &device);
    let t = column(&|row| row.t);
    let x_t = interpolate(x_0.clone(), x_1.clone(), t.clone());

    let num_bootstrap = rows.iter().take_while(|row| row.kind == RowKind::Bootstrap).count();
    let mut parts = Vec::new();
    if let (ObjectiveConfig::Shortcut(config), 1..) = (config, num_bootstrap) {
        let x_t = x_t.clone().narrow(0, 0, num_bootstrap);
        parts.push(bootstrap_targets(config, &rows[..num_bootstrap], x_t, teacher));
    }
    let num_flow = rows.len() - num_bootstrap;
    if num_flow > 0 {
        let flow = |x: Tensor<4>| x.narrow(0, num_bootstrap, num_flow);
        parts.push(velocity(flow(x_0), flow(x_1)));
    }
    TrainingTargets {
        x_t,
        t,
        log2_steps: column(&|row| f64::from(row.log2_steps)),
        v_target: Tensor::cat(parts, 0),
    }
}

fn column(rows: &[Row], f: &dyn Fn(&Row) -> f64, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = rows.iter().map(|row| f(row) as f32).collect();
    Tensor::from_floats(values.as_slice(), device)
}

impl TrainingTargets {
    /// The mean squared error of every row, `[B]`; the loss is its mean.
    ///
    /// `prediction` may live on an autodiff device; the targets carry no gradient.
    pub fn row_losses(&self, prediction: Tensor<4>) -> Tensor<1> {
        let target = if prediction.is_autodiff() {
            Tensor::from_inner(self.v_target.clone())
        } else {
            self.v_target.clone()
        };
        (prediction - target).square().mean_dims(&[1, 2, 3]).flatten(0, 3)
    }
}

/// Row losses sorted by level: what the training log shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowLosses {
    sums: [f64; super::BASE_LEVEL as usize + 1],
    counts: [usize; super::BASE_LEVEL as usize + 1],
}

impl RowLosses {
    /// Adds the losses of a batch, in the order of its rows.
    pub fn add(&mut self, rows: &[Row], losses: &[f32]) {
        for (row, &loss) in rows.iter().zip(losses) {
            self.sums[row.log2_steps as usize] += f64::from(loss);
            self.counts[row.log2_steps as usize] += 1;
        }
    }

    /// The mean loss of a level, if it had rows.
    pub fn level(&self, log2_steps: u32) -> Option<f64> {
        let (sum, count) = (self.sums[log2_steps as usize], self.counts[log2_steps as usize]);
        (count > 0).then(|| sum / count as f64)
    }

    /// The mean loss of all self-consistency rows, if there were any.
    pub fn bootstrap(&self) -> Option<f64> {
        let last = super::BASE_LEVEL as usize;
        let count: usize = self.counts[..last].iter().sum();
        (count > 0).then(|| self.sums[..last].iter().sum::<f64>() / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{keyed_rng, purpose};
    use crate::objective::{BASE_LEVEL, ShortcutConfig, plan_rows};
    use burn::tensor::{Distribution, Tolerance};
    use std::cell::RefCell;

    fn batch(
        config: &ShortcutConfig,
        size: usize,
    ) -> (ObjectiveConfig, Vec<Row>, Tensor<4>, Tensor<4>) {
        let config = ObjectiveConfig::Shortcut(config.clone());
        let mut rngs: Vec<_> =
            (0..size as u64).map(|i| keyed_rng(1, purpose::TRAINING_ROW, 0, i)).collect();
        let rows = plan_rows(&config, 1.0, &mut rngs);
        let device = Device::flex();
        let random =
            || Tensor::<4>::random([size, 2, 2, 2], Distribution::Normal(0.0, 0.5), &device);
        (config, rows, random(), random())
    }

    /// A field that depends on everything it is given.
    fn field(x: Tensor<4>, t: Tensor<1>, k: Tensor<1>) -> Tensor<4> {
        let number = |v: Tensor<1>| v.reshape([-1, 1, 1, 1]);
        x.clone() * 0.3 + x.square() * number(t) * 0.2 + number(k) * 0.01
    }

    #[test]
    fn a_bootstrap_target_is_the_mean_of_its_two_half_steps() {
        let (config, rows, x_0, x_1) = batch(&ShortcutConfig::default(), 64);
        let targets = training_targets(&config, &rows, x_0, x_1, &|x, t, k, _| field(x, t, k));
        for (i, row) in rows.iter().enumerate().take(16) {
            let device = Device::flex();
            let one = |v: f64| Tensor::<1>::from_floats([v as f32], &device);
            let h = 0.5f64.powi(row.log2_steps as i32 + 1);
            let k = one(f64::from(row.log2_steps + 1));
            let x = targets.x_t.clone().narrow(0, i, 1);
            let v_1 = field(x.clone(), one(row.t), k.clone());
            let v_2 = field(x + v_1.clone() * h, one(row.t + h), k);
            let expected = (v_1 + v_2) * 0.5;
            targets
                .v_target
                .clone()
                .narrow(0, i, 1)
                .to_data()
                .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn flow_rows_get_the_velocity_of_the_path_at_the_base_level() {
        let (config, rows, x_0, x_1) = batch(&ShortcutConfig::default(), 64);
        let targets = training_targets(&config, &rows, x_0.clone(), x_1.clone(), &|x, t, k, _| {
            field(x, t, k)
        });
        let expected = (x_1 - x_0).narrow(0, 16, 48);
        targets
            .v_target
            .narrow(0, 16, 48)
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-4));
        let levels: Vec<f32> = targets.log2_steps.to_data().try_to_vec().expect("f32");
        assert!(levels[16..].iter().all(|&k| k == BASE_LEVEL as f32));
    }

    #[test]
    fn targets_and_teacher_states_are_clipped() {
        let (config, rows, x_0, x_1) =
            batch(&ShortcutConfig { clip: 0.5, ..Default::default() }, 64);
        let largest = RefCell::new(0.0f32);
        let targets = training_targets(&config, &rows, x_0 * 9.0, x_1, &|x, t, k, _| {
            // The second call sees clipped states.
            let magnitude: f32 = x.clone().abs().max().into_scalar();
            largest.replace(magnitude);
            field(x, t, k)
        });
        assert!(*largest.borrow() <= 0.5);
        let bootstrap: f32 = targets.v_target.narrow(0, 0, 16).abs().max().into_scalar();
        assert!(bootstrap <= 0.5);
    }

    #[test]
    fn guidance_enters_at_the_finest_bootstrap_level_alone() {
        let with_scale = |guidance_scale| {
            let (config, rows, x_0, x_1) =
                batch(&ShortcutConfig { guidance_scale, clip: 100.0, ..Default::default() }, 64);
            let device = Device::flex();
            let fixed = |x: Tensor<4>, v: f64| Tensor::<4>::full(x.dims(), v, &device);
            let targets = training_targets(&config, &rows, x_0, x_1, &|x, _, _, conditioning| {
                match conditioning {
                    Conditioning::Caption => fixed(x, 1.0),
                    Conditioning::Null => fixed(x, 0.25),
                }
            });
            let values: Vec<f32> = targets
                .v_target
                .narrow(0, 0, 16)
                .narrow(1, 0, 1)
                .narrow(2, 0, 1)
                .narrow(3, 0, 1)
                .to_data()
                .try_to_vec()
                .expect("f32");
            (rows, values)
        };
        let (rows, values) = with_scale(3.0);
        for (row, value) in rows.iter().zip(values) {
            let expected = if row.log2_steps == BASE_LEVEL - 1 { 0.25 + 3.0 * 0.75 } else { 1.0 };
            assert!((value - expected).abs() < 1e-5, "{row:?}: {value}");
        }
        assert!(with_scale(1.0).1.iter().all(|&value| value == 1.0));
    }

    #[test]
    fn row_losses_are_sorted_by_level() {
        let row = |log2_steps| Row { kind: RowKind::Flow, t: 0.0, log2_steps, drop_caption: false };
        let mut losses = RowLosses::default();
        losses.add(&[row(0), row(0), row(7)], &[1.0, 3.0, 5.0]);
        assert_eq!(
            (losses.level(0), losses.level(3), losses.level(7)),
            (Some(2.0), None, Some(5.0))
        );
        assert_eq!(losses.bootstrap(), Some(2.0));
    }
}
