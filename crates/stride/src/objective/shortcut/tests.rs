//! What the shortcut objective draws, and what its targets are.

use super::*;
use crate::noise::{keyed_rng, purpose};
use crate::objective::{FlowTime, ObjectiveError};
use burn::tensor::{Device, Distribution, Tolerance};
use std::cell::RefCell;

fn plan(config: &ShortcutConfig, batch_size: usize, step: u64) -> Vec<Row> {
    let mut rngs: Vec<_> =
        (0..batch_size as u64).map(|i| keyed_rng(0, purpose::TRAINING_ROW, step, i)).collect();
    config.plan_rows(1.0, &mut rngs)
}

fn level_counts(rows: &[Row]) -> Vec<usize> {
    (0..=BASE_LEVEL).map(|k| rows.iter().filter(|r| r.log2_steps == f64::from(k)).count()).collect()
}

#[test]
fn levels_are_dealt_as_in_the_reference() {
    let with_fraction =
        |bootstrap_fraction| ShortcutConfig { bootstrap_fraction, ..Default::default() };
    // Batch 64: one row a level and one more at d = 1 for 1/8; two and two more for 1/4.
    assert_eq!(level_counts(&plan(&with_fraction(0.125), 64, 0)), [2, 1, 1, 1, 1, 1, 1, 56]);
    assert_eq!(level_counts(&plan(&with_fraction(0.25), 64, 0)), [4, 2, 2, 2, 2, 2, 2, 48]);
    // Batch 256 with 1/8: four a level and four more at d = 1.
    assert_eq!(level_counts(&plan(&with_fraction(0.125), 256, 0)), [8, 4, 4, 4, 4, 4, 4, 224]);
    assert_eq!(level_counts(&plan(&with_fraction(0.75), 64, 0)), [12, 6, 6, 6, 6, 6, 6, 16]);
}

#[test]
fn times_lie_on_the_grid_of_their_level_and_steps_end_by_one() {
    let config = ShortcutConfig { bootstrap_fraction: 0.75, ..Default::default() };
    let mut seen = vec![std::collections::BTreeSet::new(); BASE_LEVEL as usize + 1];
    for step in 0..400 {
        for row in plan(&config, 64, step) {
            let scaled = row.t / row.step_size();
            assert_eq!(scaled.fract(), 0.0, "{row:?}");
            assert!(row.t + row.step_size() <= 1.0, "{row:?}");
            assert_eq!(row.kind == RowKind::Flow, row.log2_steps == f64::from(BASE_LEVEL));
            seen[row.log2_steps as usize].insert(scaled as u32);
        }
    }
    // Every point of every grid is reached.
    for (k, times) in seen.iter().enumerate() {
        assert_eq!(times.len(), 1 << k, "level {k}");
    }
}

#[test]
fn random_levels_reach_all_and_lean_to_one_step() {
    let config = ShortcutConfig {
        levels: LevelAllocation::Random,
        one_step_bias: 0.15,
        ..Default::default()
    };
    let mut counts = [0usize; BASE_LEVEL as usize + 1];
    for step in 0..2000 {
        for (total, n) in counts.iter_mut().zip(level_counts(&plan(&config, 16, step))) {
            *total += n;
        }
    }
    let fraction = |k: usize| counts[k] as f64 / (2000 * 4) as f64;
    assert!((fraction(0) - (0.15 + 0.85 / 7.0)).abs() < 0.02, "{counts:?}");
    assert!((1..7).all(|k| (fraction(k) - 0.85 / 7.0).abs() < 0.02), "{counts:?}");
}

#[test]
fn captions_drop_where_they_should() {
    let drops = |config: &ShortcutConfig, kind| {
        let rows: Vec<Row> = (0..300).flat_map(|step| plan(config, 64, step)).collect();
        let of_kind: Vec<_> = rows.into_iter().filter(|row| row.kind == kind).collect();
        of_kind.iter().filter(|row| row.drop_caption).count() as f64 / of_kind.len() as f64
    };
    let reference = ShortcutConfig::default();
    assert_eq!(drops(&reference, RowKind::Bootstrap), 0.0);
    assert!((drops(&reference, RowKind::Flow) - 0.1).abs() < 0.01);
    let both = ShortcutConfig { bootstrap_cond_dropout: true, ..reference };
    assert!((drops(&both, RowKind::Bootstrap) - 0.1).abs() < 0.02);
}

#[test]
fn self_consistency_waits_for_its_start() {
    let config = ShortcutConfig { bootstrap_start: 0.4, ..Default::default() };
    let mut rngs: Vec<_> = (0..64).map(|i| keyed_rng(0, 2, 0, i)).collect();
    let count = |rows: Vec<Row>| rows.iter().filter(|r| r.kind == RowKind::Bootstrap).count();
    assert_eq!(count(config.plan_rows(0.39, &mut rngs)), 0);
    assert_eq!(count(config.plan_rows(0.40, &mut rngs)), 16);
}

#[test]
fn impossible_settings_are_named() {
    let validate = |config: ShortcutConfig, batch| config.validate(batch);
    assert_eq!(validate(ShortcutConfig::default(), 64), Ok(()));
    assert!(matches!(
        validate(ShortcutConfig::default(), 16),
        Err(ObjectiveError::TooFewRows { rows: 4, .. })
    ));
    let random = ShortcutConfig { levels: LevelAllocation::Random, ..Default::default() };
    assert_eq!(validate(random, 16), Ok(()));
    let share = ShortcutConfig { bootstrap_fraction: 1.5, ..Default::default() };
    assert!(validate(share, 64).is_err_and(|e| e.to_string().contains("bootstrap_fraction")));
    let nan = FlowTime::LogitNormal { mean: f64::NAN, std: 1.0, uniform_fraction: 0.0 };
    assert!(validate(ShortcutConfig { flow_time: nan, ..Default::default() }, 64).is_err());
}

fn batch(config: &ShortcutConfig, size: usize) -> (Vec<Row>, Tensor<4>, Tensor<4>) {
    let mut rngs: Vec<_> =
        (0..size as u64).map(|i| keyed_rng(1, purpose::TRAINING_ROW, 0, i)).collect();
    let rows = config.plan_rows(1.0, &mut rngs);
    let device = Device::flex();
    let random = || Tensor::<4>::random([size, 2, 2, 2], Distribution::Normal(0.0, 0.5), &device);
    (rows, random(), random())
}

fn targets(
    config: &ShortcutConfig,
    (rows, x_0, x_1): (&[Row], Tensor<4>, Tensor<4>),
    teacher: &Network<'_>,
) -> TrainingTargets {
    config.targets(Batch { rows, progress: 1.0, x_0, x_1 }, teacher)
}

/// [`field`] as a teacher.
fn teacher(input: NetworkInput, _: Conditioning, _: Head) -> Tensor<4> {
    field(input.x_t, input.t, input.log2_steps)
}

/// A field that depends on everything it is given.
fn field(x: Tensor<4>, t: Tensor<1>, k: Tensor<1>) -> Tensor<4> {
    let number = |v: Tensor<1>| v.reshape([-1, 1, 1, 1]);
    x.clone() * 0.3 + x.square() * number(t) * 0.2 + number(k) * 0.01
}

#[test]
fn a_bootstrap_target_is_the_mean_of_its_two_half_steps() {
    let config = ShortcutConfig::default();
    let (rows, x_0, x_1) = batch(&config, 64);
    let targets = targets(&config, (&rows, x_0, x_1), &teacher);
    for (i, row) in rows.iter().enumerate().take(16) {
        let device = Device::flex();
        let one = |v: f64| Tensor::<1>::from_floats([v as f32], &device);
        let h = row.step_size() / 2.0;
        let k = one(row.log2_steps + 1.0);
        let x = targets.input.x_t.clone().narrow(0, i, 1);
        let v_1 = field(x.clone(), one(row.t), k.clone());
        let v_2 = field(x + v_1.clone() * h, one(row.t + h), k);
        let expected = (v_1 + v_2) * 0.5;
        targets
            .target
            .clone()
            .narrow(0, i, 1)
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn flow_rows_get_the_velocity_of_the_path_at_the_base_level() {
    let config = ShortcutConfig::default();
    let (rows, x_0, x_1) = batch(&config, 64);
    let targets = targets(&config, (&rows, x_0.clone(), x_1.clone()), &teacher);
    let expected = (x_1 - x_0).narrow(0, 16, 48);
    targets
        .target
        .narrow(0, 16, 48)
        .to_data()
        .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-4));
    let levels: Vec<f32> = targets.input.log2_steps.to_data().try_to_vec().expect("f32");
    assert!(levels[16..].iter().all(|&k| k == BASE_LEVEL as f32));
}

#[test]
fn targets_and_teacher_states_are_clipped() {
    let config = ShortcutConfig { clip: 0.5, ..Default::default() };
    let (rows, x_0, x_1) = batch(&config, 64);
    let largest = RefCell::new(0.0f32);
    let targets = targets(&config, (&rows, x_0 * 9.0, x_1), &|input, conditioning, _| {
        // The second call sees clipped states.
        let magnitude: f32 = input.x_t.clone().abs().max().into_scalar();
        largest.replace(magnitude);
        teacher(input, conditioning, Head::MeanVelocity)
    });
    assert!(*largest.borrow() <= 0.5);
    let bootstrap: f32 = targets.target.narrow(0, 0, 16).abs().max().into_scalar();
    assert!(bootstrap <= 0.5);
}

#[test]
fn guidance_enters_at_the_finest_bootstrap_level_alone() {
    let with_scale = |guidance_scale| {
        let config = ShortcutConfig { guidance_scale, clip: 100.0, ..Default::default() };
        let (rows, x_0, x_1) = batch(&config, 64);
        let device = Device::flex();
        let fixed = |x: Tensor<4>, v: f64| Tensor::<4>::full(x.dims(), v, &device);
        let targets = targets(&config, (&rows, x_0, x_1), &|input, on, _| match on {
            Conditioning::Caption => fixed(input.x_t, 1.0),
            Conditioning::Null => fixed(input.x_t, 0.25),
        });
        let values: Vec<f32> = targets
            .target
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
        let expected =
            if row.log2_steps == f64::from(BASE_LEVEL) - 1.0 { 0.25 + 3.0 * 0.75 } else { 1.0 };
        assert!((value - expected).abs() < 1e-5, "{row:?}: {value}");
    }
    assert!(with_scale(1.0).1.iter().all(|&value| value == 1.0));
}

#[test]
fn a_scale_that_is_an_input_guides_the_base_level_by_two_passes_and_the_rest_by_itself() {
    let config =
        ShortcutConfig { max_guidance_scale: Some(6.0), clip: 100.0, ..Default::default() };
    assert_eq!(config.guidance(), Guidance::ScaleInput { max_scale: 6.0, at_base_level: false });
    let (rows, x_0, x_1) = batch(&config, 64);
    assert!(rows[..16].iter().all(|row| (1.0..=6.0).contains(&row.guidance_scale)));
    assert!(rows[16..].iter().all(|row| row.guidance_scale == 1.0));
    // The teacher answers with the scale it is asked for, and with 0 without a caption.
    let targets = targets(&config, (&rows, x_0, x_1), &|input, on, _| {
        let scale = input.guidance_scale.expect("an input").reshape([-1, 1, 1, 1]);
        match on {
            Conditioning::Caption => input.x_t.zeros_like() + scale,
            Conditioning::Null => input.x_t.zeros_like(),
        }
    });
    // At the base level it is asked for 1, and the two passes make w of it.
    let found: Vec<f32> = targets.target.mean_dims(&[1, 2, 3]).into_data().iter().collect();
    for (row, found) in rows[..16].iter().zip(&found) {
        assert!((f64::from(*found) - row.guidance_scale).abs() < 1e-5, "{row:?}: {found}");
    }
    let student = targets.input.guidance_scale.expect("an input").into_data();
    for (row, found) in rows.iter().zip(student.iter::<f32>()) {
        assert_eq!(row.guidance_scale as f32, found);
    }
    let both = ShortcutConfig { guidance_scale: 2.0, ..config };
    assert!(both.validate(64).is_err_and(|error| error.to_string().contains("guidance_scale")));
}

/// The draws of the avatar run: values from before the objectives shared a trait.
#[test]
fn draws_of_the_shipped_run_stay() {
    let config = ShortcutConfig {
        levels: LevelAllocation::Random,
        one_step_bias: 0.15,
        bootstrap_cond_dropout: true,
        bootstrap_start: 0.4,
        flow_time: FlowTime::LogitNormal { mean: -0.7, std: 1.4, uniform_fraction: 0.25 },
        ..Default::default()
    };
    let mut rngs: Vec<_> = (0..64).map(|i| keyed_rng(1, purpose::TRAINING_ROW, 1000, i)).collect();
    let rows = config.plan_rows(0.5, &mut rngs);
    let next: f64 = rngs.iter_mut().map(noise::uniform).sum();
    let sum = |f: &dyn Fn(&Row) -> f64| {
        rows.iter().enumerate().map(|(i, row)| (i + 1) as f64 * f(row)).sum::<f64>()
    };
    let found = [
        sum(&|row| row.t),
        sum(&|row| row.log2_steps),
        sum(&|row| f64::from(u8::from(row.drop_caption))),
        next,
    ];
    for (found, expected) in found.iter().zip(SHIPPED) {
        assert!((found - expected).abs() < 1e-9, "{found:?} {expected:?}");
    }
}

/// Weighted sums of t, levels and dropped captions, and of the draws that follow them.
const SHIPPED: [f64; 4] = [814.3295442030973, 13860.0, 130.0, 31.801261858225747];
