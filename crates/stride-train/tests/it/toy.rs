//! Two modes in the plane: one shortcut step separates them, one flow-matching step lands between.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData, activation::silu};
use stride::noise::{fill_normal, keyed_rng, normal, purpose, uniform};
use stride::objective::{
    BASE_LEVEL, FlowTime, LevelAllocation, ObjectiveConfig, ShortcutConfig, plan_rows,
    training_targets,
};
use stride::sampler::{Step, StepPlan, euler};
use stride_train::{Ema, EmaConfig, EmaDecay, NamedGradients, Optimizer, OptimizerConfig};

const BATCH: usize = 192;
const STEPS: u64 = 1200;
/// The modes lie at (MODE, MODE) and (-MODE, -MODE).
const MODE: f32 = 1.2;

/// A field over the plane; points are pictures of two channels and one pixel.
#[derive(Module, Debug)]
struct Field {
    layers: Vec<Linear>,
}

impl Field {
    fn new(device: &Device) -> Self {
        let widths = [2 + 4, 96, 96, 96, 2];
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        Self { layers: widths.windows(2).map(layer).collect() }
    }

    fn forward(&self, x: Tensor<4>, t: Tensor<1>, log2_steps: Tensor<1>) -> Tensor<4> {
        let [b, ..] = x.dims();
        let t = t.unsqueeze_dim::<2>(1);
        let k = log2_steps.unsqueeze_dim::<2>(1);
        // The step size itself, too: levels far apart are close in d.
        let d = (k.clone() * -std::f64::consts::LN_2).exp();
        let mut h = Tensor::cat(
            vec![x.reshape([b, 2]), t.clone() * 2.0 - 1.0, t.square(), k * 0.25 - 1.0, d],
            1,
        );
        for (index, layer) in self.layers.iter().enumerate() {
            h = layer.forward(if index == 0 { h } else { silu(h) });
        }
        h.reshape([b, 2, 1, 1])
    }
}

fn points(values: Vec<f32>, device: &Device) -> Tensor<4> {
    let count = values.len() / 2;
    Tensor::from_data(TensorData::new(values, [count, 2, 1, 1]), device)
}

fn train(objective: &ObjectiveConfig) -> Field {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    autodiff.seed(0);
    let mut model = Field::new(&autodiff);
    let teacher = EmaConfig { name: "teacher".to_owned(), decay: EmaDecay::Constant(0.95) };
    let mut teacher = Ema::new(teacher, &model);
    let mut optimizer =
        Optimizer::new(OptimizerConfig { learning_rate: 3e-3, ..OptimizerConfig::default() });
    for step in 0..STEPS {
        let mut rngs: Vec<_> =
            (0..BATCH as u64).map(|row| keyed_rng(0, purpose::TRAINING_ROW, step, row)).collect();
        let progress = step as f64 / STEPS as f64;
        let rows = plan_rows(objective, progress, &mut rngs);
        let (mut x_0, mut x_1) = (vec![0.0; 2 * BATCH], vec![0.0; 2 * BATCH]);
        for (row, rng) in rngs.iter_mut().enumerate() {
            fill_normal(rng, &mut x_0[2 * row..2 * row + 2]);
            let side = if uniform(rng) < 0.5 { MODE } else { -MODE };
            x_1[2 * row] = side + 0.1 * normal(rng) as f32;
            x_1[2 * row + 1] = side + 0.1 * normal(rng) as f32;
        }
        let targets = training_targets(
            objective,
            &rows,
            points(x_0, &device),
            points(x_1, &device),
            &|x, t, k, _| teacher.module().forward(x, t, k),
        );
        let prediction = model.forward(
            Tensor::from_inner(targets.x_t.clone()),
            Tensor::from_inner(targets.t.clone()),
            Tensor::from_inner(targets.log2_steps.clone()),
        );
        let gradients = NamedGradients::of(&targets.row_losses(prediction).mean(), &model);
        let lr_factor = ((1.0 - progress) / 0.5).min(1.0);
        (model, _) = optimizer.step(model, gradients, lr_factor);
        teacher.update(&model, step + 1);
    }
    model.valid()
}

/// Where samples land: the share within half the distance of a mode, and on the upper right.
fn landing(field: &Field, num_steps: usize, level: Option<u32>) -> (f64, f64) {
    const COUNT: usize = 400;
    let device = Device::flex();
    let mut noise = vec![0.0; 2 * COUNT];
    fill_normal(&mut keyed_rng(1, purpose::SAMPLING, 0, 0), &mut noise);
    let plan = StepPlan::new(num_steps).expect("in range");
    let velocity = |x: Tensor<4>, step: Step| {
        let column = |value: f64| Tensor::<1>::full([COUNT], value, &device);
        let level = level.unwrap_or(step.log2_steps);
        field.forward(x, column(step.t), column(f64::from(level)))
    };
    let x = euler(&plan, points(noise, &device), velocity, |_| ControlFlow::Continue(()));
    let x: Vec<f32> = x.expect("not stopped").into_data().iter::<f32>().collect();
    let near = |point: &&[f32], side: f32| (point[0] - side).hypot(point[1] - side) < 0.6 * MODE;
    let share = |n: usize| n as f64 / COUNT as f64;
    let upper = x.chunks_exact(2).filter(|point| near(point, MODE)).count();
    let lower = x.chunks_exact(2).filter(|point| near(point, -MODE)).count();
    (share(upper + lower), share(upper))
}

#[test]
fn one_shortcut_step_separates_two_modes_and_one_flow_step_does_not() {
    let flow_time = FlowTime::LogitNormal { mean: 0.0, std: 1.0, uniform_share: 0.5 };
    let shortcut = train(&ObjectiveConfig::Shortcut(ShortcutConfig {
        bootstrap_share: 0.5,
        bootstrap_start: 0.2,
        levels: LevelAllocation::Random,
        flow_time,
        ..ShortcutConfig::default()
    }));
    let flow = train(&ObjectiveConfig::FlowMatching { flow_time, cond_dropout_prob: 0.0 });

    // With many steps both find both modes.
    for (name, field) in [("shortcut", &shortcut), ("flow matching", &flow)] {
        let (near, upper) = landing(field, 128, None);
        assert!(near > 0.9 && (0.35..0.65).contains(&upper), "{name}, 128 steps: {near}, {upper}");
    }
    // With one step only the shortcut model does; flow matching knows no level but its own.
    let (near, upper) = landing(&shortcut, 1, None);
    assert!(near > 0.75 && (0.25..0.6).contains(&upper), "shortcut, 1 step: {near}, {upper}");
    let (near, _) = landing(&flow, 1, Some(BASE_LEVEL));
    assert!(near < 0.2, "flow matching, 1 step: {near}");
}
