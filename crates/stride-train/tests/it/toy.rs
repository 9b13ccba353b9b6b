//! Every objective on eight modes in the plane: how far its samples are from the data at 1, 4 and
//! 128 steps.

use std::f64::consts::TAU;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData, activation::silu};
use stride::noise::{ChaCha8Rng, below, fill_normal, keyed_rng, normal, purpose};
use stride::objective::{
    Batch, ConsistencyConfig, DataAnchoredConfig, DiffusionConfig, DiffusionSampler,
    FlowMatchingConfig, FlowTime, Head, LevelAllocation, MeanFlowConfig, NetworkInput,
    NoisePairing, Objective, ShortcutConfig, Tangent, Teacher,
};
use stride::sampler::{NoiseSchedule, Prediction, StepPlan};
use stride_train::{Ema, EmaConfig, EmaDecay, NamedGradients, Optimizer, OptimizerConfig};

const BATCH: usize = 192;
const STEPS: u64 = 1500;
/// Modes of the data.
const MODES: usize = 8;
/// The modes lie on a circle of this radius; the data then has unit variance.
const RADIUS: f64 = 1.4;
/// Their standard deviation.
const SPREAD: f64 = 0.1;
/// Points compared, of each kind.
const COUNT: usize = 1024;

/// A field over the plane; points are images of two channels and one pixel.
#[derive(Module, Debug)]
struct Field {
    layers: Vec<Linear>,
    /// The second output.
    velocity: Linear,
}

impl Field {
    fn new(device: &Device) -> Self {
        let widths = [2 + 4, 64, 64, 64, 2];
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Self { layers: widths.windows(2).map(layer).collect(), velocity: layer(&[64, 2]) }
    }

    /// Mean velocity and velocity.
    fn forward(&self, input: NetworkInput) -> [Tensor<4>; 2] {
        let NetworkInput { x_t, t, log2_steps, .. } = input;
        let [b, ..] = x_t.dims();
        let t = t.unsqueeze_dim::<2>(1);
        let k = log2_steps.unsqueeze_dim::<2>(1);
        // The step size itself, too: levels far apart are close in d.
        let d = (k.clone() * -std::f64::consts::LN_2).exp();
        let mut h = Tensor::cat(
            vec![x_t.reshape([b, 2]), t.clone() * 2.0 - 1.0, t.square(), k * 0.25 - 1.0, d],
            1,
        );
        let (last, hidden) = self.layers.split_last().expect("four layers");
        for layer in hidden {
            h = silu(layer.forward(h));
        }
        [last, &self.velocity].map(|layer| layer.forward(h.clone()).reshape([b, 2, 1, 1]))
    }
}

fn points(values: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = values.len() / 2;
    Tensor::from_data(TensorData::new(values, [count, 2, 1, 1]), device)
}

fn point_of_mode(mode: usize, rng: &mut ChaCha8Rng) -> [f32; 2] {
    let (sin, cos) = (mode as f64 / MODES as f64 * TAU).sin_cos();
    [RADIUS * cos + SPREAD * normal(rng), RADIUS * sin + SPREAD * normal(rng)].map(|v| v as f32)
}

/// Trains a field as the trainer does.
fn train(objective: &dyn Objective, batch_size: usize) -> Field {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    autodiff.seed(0);
    objective.validate(batch_size).expect("settings fit");
    let mut model = Field::new(&autodiff);
    let average = EmaConfig { name: "teacher".to_owned(), decay: EmaDecay::Constant(0.95) };
    let mut average = Ema::new(average, &model);
    let mut optimizer =
        Optimizer::new(OptimizerConfig { learning_rate: 3e-3, ..OptimizerConfig::default() });
    for step in 0..STEPS {
        let mut rngs: Vec<_> = (0..batch_size as u64)
            .map(|row| keyed_rng(0, purpose::TRAINING_ROW, step, row))
            .collect();
        let progress = step as f64 / STEPS as f64;
        let rows = objective.plan_rows(progress, &mut rngs);
        let (mut x_0, mut x_1) = (vec![0.0; 2 * batch_size], vec![0.0; 2 * batch_size]);
        for (row, rng) in rngs.iter_mut().enumerate() {
            fill_normal(rng, &mut x_0[2 * row..2 * row + 2]);
            x_1[2 * row..2 * row + 2].copy_from_slice(&point_of_mode(below(rng, MODES), rng));
        }
        objective.pair_noise(&mut x_0, &x_1, batch_size);
        let (x_0, x_1) = (points(x_0, &device), points(x_1, &device));
        let teacher = match objective.teacher() {
            Teacher::Average => average.module().clone(),
            Teacher::Student | Teacher::Nobody => model.valid(),
        };
        let batch = Batch { rows: &rows, progress, x_0, x_1 };
        let targets = objective.targets(batch, &|input, _, head| {
            let [mean_velocity, velocity] = teacher.forward(input);
            if head == Head::Velocity { velocity } else { mean_velocity }
        });
        let [mean_velocity, velocity] = model.forward(targets.input.for_student());
        let mut loss = targets.loss(targets.row_losses(mean_velocity));
        if targets.velocity.is_some() {
            loss = loss + targets.loss(targets.velocity_losses(velocity));
        }
        let gradients = NamedGradients::of(&loss, &model);
        let lr_factor = ((1.0 - progress) / 0.5).min(1.0);
        (model, _) = optimizer.step(model, gradients, lr_factor);
        average.update(&model, step + 1);
    }
    model.valid()
}

/// Samples of a field as its objective has them drawn.
fn sample(objective: &dyn Objective, field: &Field, num_steps: usize) -> Vec<[f32; 2]> {
    let device = Device::flex();
    let noise = move |step| {
        let mut values = vec![0.0; 2 * COUNT];
        fill_normal(&mut keyed_rng(1, purpose::SAMPLING, step, 0), &mut values);
        points(values, &device)
    };
    let plan = StepPlan::new(num_steps).expect("in range");
    let mut trajectory = objective.sampler().start(plan, noise);
    while let Some(time) = trajectory.time() {
        let input = NetworkInput::at_times(trajectory.state().clone(), &[time; COUNT]);
        let [mean_velocity, _] = field.forward(input);
        trajectory.advance(mean_velocity);
    }
    let values: Vec<f32> = trajectory.state().to_data().iter().collect();
    values.chunks_exact(2).map(|point| [point[0], point[1]]).collect()
}

/// The sliced 2-Wasserstein distance between two sets of as many points: the root mean square
/// difference of their sorted projections, over directions spread evenly.
fn sliced_wasserstein(a: &[[f32; 2]], b: &[[f32; 2]]) -> f64 {
    const DIRECTIONS: usize = 32;
    let projected = |points: &[[f32; 2]], direction: usize| {
        let (sin, cos) = (std::f64::consts::PI * direction as f64 / DIRECTIONS as f64).sin_cos();
        let mut values: Vec<f64> = points
            .iter()
            .map(|point| f64::from(point[0]) * cos + f64::from(point[1]) * sin)
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let of_direction = |direction| {
        let pairs = projected(a, direction).into_iter().zip(projected(b, direction));
        pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64
    };
    ((0..DIRECTIONS).map(of_direction).sum::<f64>() / DIRECTIONS as f64).sqrt()
}

/// Points of the data, as many of every mode.
fn data() -> Vec<[f32; 2]> {
    let mut rng = keyed_rng(2, purpose::SAMPLING, 0, 0);
    (0..COUNT).map(|index| point_of_mode(index % MODES, &mut rng)).collect()
}

/// Samples this near cover all modes: one that is missing makes 0.25, noise
/// of the samples alone about 0.11.
const NEAR: f64 = 0.2;
/// Samples this far miss the modes: the mean of the data is 0.9 away.
const FAR: f64 = 0.6;

/// Trains and says whether samples of 1, 4 and 128 steps are near the data, far from it or
/// (`None`) in between.
///
/// Over the seeds 0..3 near ones came to 0.17 at most and far ones to 0.88 at least.
fn check_at(batch_size: usize, name: &str, objective: &dyn Objective, expected: [Option<bool>; 3]) {
    let start = Instant::now();
    let field = train(objective, batch_size);
    let found = [1, 4, 128].map(|n| sliced_wasserstein(&sample(objective, &field, n), &data()));
    println!("{name}: {found:.3?} in {:.1} s", start.elapsed().as_secs_f64());
    for (found, expected) in found.into_iter().zip(expected) {
        match expected {
            Some(true) => assert!(found < NEAR, "{name}: {found} should be near"),
            Some(false) => assert!(found > FAR, "{name}: {found} should be far"),
            None => assert!(found.is_finite(), "{name}: {found}"),
        }
    }
}

fn check(name: &str, objective: &dyn Objective, expected: [Option<bool>; 3]) {
    check_at(BATCH, name, objective, expected);
}

/// Few-step models stay near, whatever the number of steps.
const ALWAYS_NEAR: [Option<bool>; 3] = [Some(true); 3];
/// The classic ones fail at one step.
const NEAR_AT_MANY: [Option<bool>; 3] = [Some(false), None, Some(true)];

/// Both the middle of the path and its ends are drawn.
const TIMES: FlowTime = FlowTime::LogitNormal { mean: 0.0, std: 1.0, uniform_fraction: 0.5 };

fn shortcut() -> ShortcutConfig {
    ShortcutConfig {
        bootstrap_fraction: 0.5,
        bootstrap_start: 0.2,
        levels: LevelAllocation::Random,
        flow_time: TIMES,
        ..ShortcutConfig::default()
    }
}

#[test]
fn the_distance_notices_a_missing_mode_and_a_collapse() {
    let data = data();
    assert_eq!(sliced_wasserstein(&data, &data), 0.0);
    let mut rng = keyed_rng(3, purpose::SAMPLING, 0, 0);
    let of_modes = |modes: usize, rng: &mut ChaCha8Rng| -> Vec<[f32; 2]> {
        (0..COUNT).map(|index| point_of_mode(index % modes, rng)).collect()
    };
    let same = sliced_wasserstein(&of_modes(MODES, &mut rng), &data);
    let missing = sliced_wasserstein(&of_modes(MODES - 1, &mut rng), &data);
    let collapsed = sliced_wasserstein(&vec![[0.0, 0.0]; COUNT], &data);
    println!("same {same:.3}, one missing {missing:.3}, collapsed {collapsed:.3}");
    assert!(same < 0.2 * NEAR && missing > 1.2 * NEAR && collapsed > 1.3 * FAR);
}

#[test]
fn flow_matching_needs_steps() {
    let config = FlowMatchingConfig { flow_time: TIMES, cond_dropout_prob: 0.0 };
    check("flow matching", &config, NEAR_AT_MANY);
}

#[test]
fn shortcut_holds_at_any_step_count() {
    check("shortcut", &shortcut(), ALWAYS_NEAR);
}

#[test]
fn shortcut_with_adaptive_weight_holds_at_any_step_count() {
    // In two dimensions errors do not concentrate: a small offset would ask for modes, not means.
    let config = ShortcutConfig { adaptive_offset: Some(1.0), ..shortcut() };
    check("shortcut, adaptive weight", &config, ALWAYS_NEAR);
}

#[test]
fn shortcut_with_paired_noise_holds_at_any_step_count() {
    let config = ShortcutConfig { noise_pairing: NoisePairing::OptimalTransport, ..shortcut() };
    // The assignment takes time that grows with the cube of the batch.
    check_at(BATCH / 3, "shortcut, paired noise", &config, ALWAYS_NEAR);
}

#[test]
fn diffusion_needs_steps() {
    check("diffusion, noise, DDIM", &DiffusionConfig::default(), NEAR_AT_MANY);
    let ddpm = DiffusionConfig { sampler: DiffusionSampler::Ddpm, ..Default::default() };
    check("diffusion, noise, DDPM", &ddpm, NEAR_AT_MANY);
}

#[test]
fn diffusion_of_v_needs_steps() {
    let (prediction, schedule) = (Prediction::V, NoiseSchedule::Cosine);
    let cosine = DiffusionConfig { prediction, schedule, ..Default::default() };
    check("diffusion, v, cosine", &cosine, NEAR_AT_MANY);
    let weighed = DiffusionConfig { prediction, min_snr_gamma: Some(5.0), ..Default::default() };
    check("diffusion, v, min-SNR", &weighed, NEAR_AT_MANY);
}

#[test]
fn data_anchored_holds_at_any_step_count() {
    let config = DataAnchoredConfig {
        consistency_fraction: 0.5,
        adaptive_offset: 1.0,
        flow_time: TIMES,
        ..Default::default()
    };
    check("data-anchored", &config, ALWAYS_NEAR);
}

fn mean_flow() -> MeanFlowConfig {
    MeanFlowConfig {
        mean_fraction: 0.5,
        adaptive_offset: 1.0,
        flow_time: TIMES,
        ..Default::default()
    }
}

#[test]
fn mean_flow_holds_at_any_step_count() {
    check("mean flow", &mean_flow(), ALWAYS_NEAR);
}

#[test]
fn improved_mean_flow_holds_at_any_step_count() {
    let tangent = Tangent::Predicted;
    let config = MeanFlowConfig { tangent, difference_step: 0.01, ..mean_flow() };
    check("improved mean flow", &config, ALWAYS_NEAR);
}

#[test]
fn mean_flow_whose_steps_grow_holds_at_any_step_count() {
    let config = MeanFlowConfig { mean_start: 0.2, mean_full: 0.6, ..mean_flow() };
    check("mean flow, growing", &config, ALWAYS_NEAR);
}

#[test]
fn consistency_holds_at_any_step_count() {
    check("consistency", &ConsistencyConfig::default(), ALWAYS_NEAR);
}
