//! Rows and targets of mean flows, where the answer is known.

use burn::tensor::{Device, TensorData};

use super::*;
use crate::noise::{fill_normal, keyed_rng};

fn rows(config: &MeanFlowConfig, progress: f64) -> Vec<Row> {
    let mut rngs: Vec<_> = (0..4000).map(|i| keyed_rng(0, 2, 0, i)).collect();
    config.plan_rows(progress, &mut rngs)
}

fn guided() -> MeanFlowConfig {
    let guidance = Some(DrawnGuidance { max_scale: 4.0, unguided_fraction: 0.3 });
    MeanFlowConfig { tangent: Tangent::Predicted, guidance, ..Default::default() }
}

#[test]
fn steps_stay_inside_the_path() {
    for difference_step in [0.05, 0.005] {
        let config = MeanFlowConfig { mean_fraction: 0.5, difference_step, ..Default::default() };
        let rows = rows(&config, 0.0);
        let steps: Vec<&Row> = rows.iter().filter(|row| row.needs_teacher()).collect();
        assert_eq!(steps.len(), 2000);
        let shortest = difference_step.max(SHORTEST_STEP);
        for row in &steps {
            let end = row.t + row.step_size();
            assert!(row.t >= 0.0 && end <= 1.0 + 1e-9, "{row:?}");
            assert!(row.step_size() > shortest - 1e-12 && is_mean(row), "{row:?}");
        }
        assert!(steps.iter().any(|row| row.log2_steps < 0.5), "long steps");
        let is_short = |row: &&Row| row.step_size() < 2.0 * shortest;
        assert!(steps.iter().any(is_short), "short steps");
    }
}

#[test]
fn number_and_size_of_steps_grow_from_the_start_on() {
    let config = MeanFlowConfig { mean_start: 0.2, mean_full: 0.6, ..Default::default() };
    for (progress, grown) in [(0.0, 0.0), (0.199, 0.0), (0.3, 0.25), (0.5, 0.75), (0.6, 1.0)] {
        let rows = rows(&config, progress);
        let steps: Vec<f64> =
            rows.iter().filter(|row| row.needs_teacher()).map(Row::step_size).collect();
        assert!(steps.len().abs_diff((1000.0 * grown) as usize) <= 1, "{progress}");
        let largest = steps.iter().copied().fold(0.0, f64::max);
        assert!(largest <= grown && largest >= 0.85 * grown, "{largest} at {progress}");
    }
    let plain = MeanFlowConfig::default();
    assert_eq!(rows(&config, 0.6), rows(&plain, 0.6));
    assert_eq!(rows(&plain, 0.0), rows(&plain, 1.0));
    let at_once = MeanFlowConfig { mean_start: 0.4, ..Default::default() };
    assert!(rows(&at_once, 0.39).iter().all(|row| !row.needs_teacher()));
    assert_eq!(rows(&at_once, 0.4), rows(&plain, 0.4));
}

#[test]
fn scales_are_drawn_for_rows_with_captions_and_rows_are_in_order() {
    let rows = rows(&guided(), 0.0);
    let place = |row: &Row| match (row.needs_teacher(), is_mean(row), row.guidance_scale == 1.0) {
        (true, true, is_plain) => usize::from(!is_plain),
        (true, false, false) => 2,
        (false, false, true) => 3,
        _ => panic!("{row:?}"),
    };
    assert!(rows.is_sorted_by_key(place));
    assert_eq!(rows.iter().filter(|row| is_mean(row)).count(), 1000);
    assert!(rows.iter().all(|row| !row.drop_caption || row.guidance_scale == 1.0));
    assert!(rows.iter().all(|row| (1.0..=4.0).contains(&row.guidance_scale)));
    let guided: Vec<f64> =
        rows.iter().map(|row| row.guidance_scale).filter(|&scale| scale != 1.0).collect();
    let fraction = guided.len() as f64 / 4000.0;
    assert!((fraction - 0.9 * 0.7).abs() < 0.03, "{fraction}");
    // With a density of 1 / w, half of them lie below the square root of the range.
    let small = guided.iter().filter(|&&scale| scale < 2.0).count() as f64 / guided.len() as f64;
    assert!((small - 0.5).abs() < 0.03, "{small}");
}

/// Numbers drawn from N(0, 1), `[n, 1, 1, 2]`.
fn draws(n: usize, index: u64) -> Tensor<4> {
    let mut values = vec![0.0; 2 * n];
    fill_normal(&mut keyed_rng(5, 0, 0, index), &mut values);
    Tensor::from_data(TensorData::new(values, [n, 1, 1, 2]), &Device::flex())
}

fn largest(values: Tensor<4>) -> f64 {
    f64::from(values.abs().max().into_scalar::<f32>())
}

/// If all data is a point, the network that leads there from everywhere has no error, whatever the scale: two passes
/// with scale w lead to the point `null + w (text - null)`.
#[test]
fn a_perfect_network_is_a_fixed_point_at_every_scale() {
    const TEXT: f64 = 0.5;
    const NULL: f64 = -0.25;
    let config = MeanFlowConfig { difference_step: 0.005, ..guided() };
    let rows: Vec<Row> =
        rows(&config, 0.0).into_iter().filter(|row| row.t < 0.9 && !row.drop_caption).collect();
    let perfect = |input: NetworkInput, on: Conditioning| {
        let NetworkInput { x_t, t, guidance_scale, .. } = input;
        let w = guidance_scale.unwrap_or_else(|| t.ones_like());
        let point = match on {
            Conditioning::Caption => w * (TEXT - NULL) + NULL,
            Conditioning::Null => w * 0.0 + NULL,
        };
        (wide(point) - x_t) / wide(t.neg() + 1.0)
    };
    let x_0 = draws(rows.len(), 0);
    let x_1 = x_0.zeros_like() + TEXT;
    let batch = Batch { rows: &rows, progress: 0.0, x_0, x_1 };
    let targets = config.targets(batch, &|input, on, _| perfect(input, on));
    let answer = perfect(targets.input.clone(), Conditioning::Caption);
    let velocity = targets.velocity.expect("a second output");
    let scale = largest(answer.clone());
    for (name, target) in [("mean velocity", targets.target), ("velocity", velocity)] {
        let error = largest(target - answer.clone()) / scale;
        assert!(error < 2e-3, "{name}: {error}");
    }
}

/// Where data is normal with standard deviation s, the velocity at x is x A' / A with
/// A = sqrt((1 - t)^2 + t^2 s^2), and a step from t to t + d scales x by A(t + d) / A(t).
#[test]
fn the_identity_holds_for_a_linear_field_with_either_tangent() {
    const S: f64 = 0.5;
    // A with its derivative, as numbers of every row.
    let spread = |t: Tensor<4>| {
        let (noise, data) = (t.clone().neg() + 1.0, t * (S * S));
        let square = noise.clone().square() + data.clone().square() / (S * S);
        (square.clone().sqrt(), (data - noise) / square.sqrt())
    };
    let velocity = |x: Tensor<4>, t: Tensor<4>| {
        let (a, slope) = spread(t);
        x * slope / a
    };
    let mean_velocity = |input: NetworkInput| {
        let (t, d) = (wide(input.t), wide((input.log2_steps * -std::f64::consts::LN_2).exp()));
        let (start, _) = spread(t.clone());
        let (end, _) = spread(t + d.clone());
        input.x_t * (end / start - 1.0) / d
    };
    let data = MeanFlowConfig { difference_step: 0.005, ..Default::default() };
    let predicted = MeanFlowConfig { tangent: Tangent::Predicted, ..data.clone() };
    let step = |t, d: f64| Row { kind: RowKind::Bootstrap, log2_steps: -d.log2(), ..Row::flow(t) };
    let rows = [step(0.0, 0.5), step(0.1, 0.8), step(0.3, 0.1), step(0.6, 0.3), step(0.8, 0.05)];
    let (x_0, x_1) = (draws(rows.len(), 1), draws(rows.len(), 2) * S);
    let targets = |config: &MeanFlowConfig, x_0: &Tensor<4>, x_1: &Tensor<4>| {
        let (x_0, x_1) = (x_0.clone(), x_1.clone());
        let batch = Batch { rows: &rows, progress: 0.0, x_0, x_1 };
        config.targets(batch, &|input, _, head| match head {
            Head::MeanVelocity => mean_velocity(input),
            Head::Velocity => velocity(input.x_t, wide(input.t)),
        })
    };
    // Along the prediction: with the true velocity in place of the path's, the answer itself.
    let found = targets(&predicted, &x_0, &x_1);
    let path = super::velocity(x_0.clone(), x_1.clone());
    let NetworkInput { x_t, t, .. } = found.input.clone();
    let made = found.target - path + velocity(x_t, wide(t));
    let error = largest(made - mean_velocity(found.input.clone()));
    assert!(error < 5e-3, "{error}");
    // Along the path, only the mean over paths is right. Two are enough: those that lead
    // through the same state with velocities as far from the true one, on either side.
    let t = wide(found.input.t.clone());
    let (x_t, true_velocity) =
        (found.input.x_t.clone(), velocity(found.input.x_t.clone(), t.clone()));
    let both = [1.0, -1.0].map(|side| {
        let v = true_velocity.clone() + draws(rows.len(), 3) * side;
        let x_0 = x_t.clone() - v.clone() * t.clone();
        let x_1 = x_0.clone() + v;
        targets(&data, &x_0, &x_1).target
    });
    let [one, other] = both;
    assert!(largest(one.clone() - other.clone()) > 0.1, "single paths differ");
    let error = largest((one + other) * 0.5 - mean_velocity(found.input));
    assert!(error < 5e-3, "{error}");
}

#[test]
fn impossible_settings_are_named() {
    for (difference_step, mean_fraction, name) in [
        (0.0, 0.5, "difference_step"),
        (f64::NAN, 0.5, "difference_step"),
        (0.01, 2.0, "mean_fraction"),
    ] {
        let config = MeanFlowConfig { difference_step, mean_fraction, ..Default::default() };
        let error = config.validate(8).map_err(|error| error.to_string());
        assert!(error.is_err_and(|error| error.contains(name)), "{name}");
    }
    let error = |config: MeanFlowConfig| {
        config.validate(8).map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    assert_eq!(error(guided()), "");
    let scale = |max_scale| {
        let guidance = Some(DrawnGuidance { max_scale, unguided_fraction: 0.5 });
        MeanFlowConfig { guidance, ..guided() }
    };
    assert!(error(scale(1.0)).contains("guidance.max_scale"));
    assert!(error(scale(f64::NAN)).contains("guidance.max_scale"));
    let data = MeanFlowConfig { tangent: Tangent::Data, ..guided() };
    assert!(error(data).contains("predicted"));
    let captioned = MeanFlowConfig { cond_dropout_prob: 0.0, ..guided() };
    assert!(error(captioned).contains("empty caption"));
    let backwards = MeanFlowConfig { mean_start: 0.5, mean_full: 0.3, ..Default::default() };
    assert!(error(backwards).contains("mean_full"));
    // Where few digits would not do, the difference has its own.
    let fine = MeanFlowConfig { difference_step: 0.005, ..Default::default() };
    assert_eq!(fine.validate_compute(Compute::Bf16), Ok(()));
}

/// Products of the network in bf16 but for the two passes of the difference.
#[test]
fn differences_are_computed_in_f32_where_they_need_it() {
    use burn::nn::LinearConfig;
    use stride_kernels::fused;

    let device = Device::flex();
    device.seed(1);
    let layer = LinearConfig::new(2, 2).init(&device);
    let rows: Vec<Row> = rows(&guided(), 0.0).into_iter().take(8).collect();
    let (x_0, x_1) = (draws(rows.len(), 4), draws(rows.len(), 5));
    let targets = |config: &MeanFlowConfig, compute: Compute| {
        let batch = Batch { rows: &rows, progress: 0.0, x_0: x_0.clone(), x_1: x_1.clone() };
        let network = |input: NetworkInput, _, head| match head {
            Head::MeanVelocity => {
                let [b, ..] = input.x_t.dims();
                let x = input.x_t.reshape([b, 1, 2]);
                fused::linear(&layer, x).reshape([b, 1, 1, 2])
            }
            Head::Velocity => input.x_t,
        };
        let targets = Precision::training(compute).scope(|| config.targets(batch, &network));
        targets.target.into_data()
    };
    let same =
        |config: &MeanFlowConfig| targets(config, Compute::F32) == targets(config, Compute::Bf16);
    let coarse = MeanFlowConfig::default();
    assert!(!same(&coarse), "as before");
    assert!(same(&MeanFlowConfig { difference_step: 0.01, ..coarse.clone() }));
    assert!(same(&MeanFlowConfig { tangent: Tangent::Predicted, ..coarse }));
}
