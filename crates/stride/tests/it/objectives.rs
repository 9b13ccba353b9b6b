//! Targets, losses and gradients of every objective, and the diffusion samplers, against PyTorch
//! and diffusers (`parity/export_objectives.py`).

use burn::tensor::{Device, Tensor, Tolerance};
use stride::objective::{
    AnchorWeighting, Batch, Conditioning, ConsistencyConfig, DataAnchoredConfig, DiffusionConfig,
    DrawnGuidance, FlowMatchingConfig, Head, MeanFlowConfig, NetworkInput, Objective, Row, RowKind,
    ShortcutConfig, Tangent, TargetGuidance, Teacher, passes_per_row,
};
use stride::sampler::{DiffusionSampling, NoiseSchedule, Prediction, Sampler, StepPlan};
use stride::weights;

const FIXTURE: &[u8] = include_bytes!("../fixtures/objectives.safetensors");

fn fixture<const D: usize>(key: &str) -> Tensor<D> {
    weights::tensor("objectives", FIXTURE, key, &Device::flex()).expect("fixture")
}

fn numbers(key: &str) -> Vec<f64> {
    fixture::<1>(key).into_data().iter().collect()
}

/// Points of the plane as images of two channels and one pixel.
fn images(key: &str) -> Tensor<4> {
    fixture::<2>(key).unsqueeze_dims::<4>(&[2, 3])
}

/// Two layers over (x, t, k, 1 - 1 / w, whether there is a caption); the third makes the second output.
#[derive(Clone)]
struct Net {
    w1: Tensor<2>,
    b1: Tensor<1>,
    w2: Tensor<2>,
    b2: Tensor<1>,
    w3: Tensor<2>,
    b3: Tensor<1>,
}

impl Net {
    fn new(device: &Device, factor: f64) -> Self {
        let on = |value: Tensor<2>| Tensor::<2>::from_data(value.into_data(), device) * factor;
        let bias = |value: Tensor<1>| Tensor::<1>::from_data(value.into_data(), device) * factor;
        Self {
            w1: on(fixture("net.w1")),
            b1: bias(fixture("net.b1")),
            w2: on(fixture("net.w2")),
            b2: bias(fixture("net.b2")),
            w3: on(fixture("net.w3")),
            b3: bias(fixture("net.b3")),
        }
    }

    fn with_gradients(self) -> Self {
        Self {
            w1: self.w1.require_grad(),
            b1: self.b1.require_grad(),
            w2: self.w2.require_grad(),
            b2: self.b2.require_grad(),
            w3: self.w3.require_grad(),
            b3: self.b3.require_grad(),
        }
    }

    fn forward(&self, input: NetworkInput, caption: Tensor<1>) -> [Tensor<4>; 2] {
        let NetworkInput { x_t, t, log2_steps, guidance_scale } = input;
        let [b, ..] = x_t.dims();
        let column = |v: Tensor<1>| v.unsqueeze_dim::<2>(1);
        let strength = guidance_scale.map_or_else(|| t.zeros_like(), |w| w.recip().neg() + 1.0);
        let level = column(log2_steps) / 7.0;
        let inputs = vec![x_t.reshape([b, 2]), column(t), level, column(strength), column(caption)];
        let hidden = Tensor::cat(inputs, 1).matmul(self.w1.clone()) + self.b1.clone().unsqueeze();
        let hidden = hidden.tanh();
        [(&self.w2, &self.b2), (&self.w3, &self.b3)].map(|(weight, bias)| {
            let out = hidden.clone().matmul(weight.clone()) + bias.clone().unsqueeze();
            out.unsqueeze_dims::<4>(&[2, 3])
        })
    }
}

fn rows(case: &str) -> Vec<Row> {
    let column = |key: &str| numbers(&format!("{case}.{key}"));
    let (kinds, captions, scales) = (column("kind"), column("caption"), column("w"));
    let (times, levels) = (column("t"), column("k"));
    (0..kinds.len())
        .map(|i| Row {
            kind: [RowKind::Bootstrap, RowKind::Flow, RowKind::Diffusion][kinds[i] as usize],
            t: times[i],
            log2_steps: levels[i],
            guidance_scale: scales[i],
            drop_caption: captions[i] == 0.0,
        })
        .collect()
}

/// Compares and prints the largest error relative to the largest value.
fn check<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>, tolerance: f64) {
    let largest: f32 = expected.clone().abs().max().into_scalar();
    let error: f32 = (found - expected).abs().max().into_scalar();
    let relative = f64::from(error) / f64::from(largest);
    println!("{what}: {relative:.1e}");
    assert!(relative <= tolerance, "{what}: relative error {relative:.1e}");
}

fn check_objective(case: &str, objective: &dyn Objective, tolerance: f64) {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    let rows = rows(case);
    let key = |name: &str| format!("{case}.{name}");
    let caption: Tensor<1> = fixture(&key("caption"));
    let factor = if objective.teacher() == Teacher::Average { 0.9 } else { 1.0 };
    let teacher = Net::new(&device, factor);
    let network = |input: NetworkInput, on: Conditioning, head: Head| {
        let caption = caption.clone().narrow(0, 0, input.x_t.dims()[0]);
        let caption = if on == Conditioning::Null { caption.zeros_like() } else { caption };
        let [mean_velocity, velocity] = teacher.forward(input, caption);
        if head == Head::Velocity { velocity } else { mean_velocity }
    };
    let (x_0, x_1) = (images(&key("x_0")), images(&key("x_1")));
    let targets = objective.targets(Batch { rows: &rows, progress: 0.5, x_0, x_1 }, &network);
    check(&key("x_t"), targets.input.x_t.clone(), images(&key("x_t")), 1e-5);
    check(&key("target"), targets.target.clone(), images(&key("target")), tolerance);

    let student = Net::new(&autodiff, 1.0).with_gradients();
    let [prediction, velocity] =
        student.forward(targets.input.for_student(), Tensor::from_inner(caption.clone()));
    let errors = targets.row_losses(prediction);
    check(&key("errors"), errors.clone().inner(), fixture(&key("errors")), tolerance);
    let mut loss = targets.loss(errors);
    if let Some(target) = &targets.velocity {
        check(&key("velocity"), target.clone(), images(&key("velocity")), tolerance);
        let errors = targets.velocity_losses(velocity);
        let expected = fixture(&key("velocity_errors"));
        check(&key("velocity_errors"), errors.clone().inner(), expected, tolerance);
        loss = loss + targets.loss(errors);
    }
    check(&key("loss"), loss.clone().inner(), fixture(&key("loss")), tolerance);
    let gradients = loss.backward();
    let of = |name: &str| key(&format!("grad.{name}"));
    let of_matrix = |value: &Tensor<2>| value.grad(&gradients).expect("used");
    let of_bias = |value: &Tensor<1>| value.grad(&gradients).expect("used");
    check(&of("w1"), of_matrix(&student.w1), fixture(&of("w1")), tolerance);
    check(&of("b1"), of_bias(&student.b1), fixture(&of("b1")), tolerance);
    check(&of("w2"), of_matrix(&student.w2), fixture(&of("w2")), tolerance);
    check(&of("b2"), of_bias(&student.b2), fixture(&of("b2")), tolerance);
    if targets.velocity.is_some() {
        check(&of("w3"), of_matrix(&student.w3), fixture(&of("w3")), tolerance);
        check(&of("b3"), of_bias(&student.b3), fixture(&of("b3")), tolerance);
    }
}

#[test]
fn flow_matching_agrees_with_pytorch() {
    check_objective("flow_matching", &FlowMatchingConfig::default(), 1e-5);
}

#[test]
fn shortcut_and_its_options_agree_with_pytorch() {
    let base = ShortcutConfig::default();
    let cases = [
        ("shortcut", ShortcutConfig { clip: 1.0, ..base.clone() }),
        ("shortcut_guided", ShortcutConfig { guidance_scale: 2.5, ..base.clone() }),
        ("shortcut_scale_input", ShortcutConfig { max_guidance_scale: Some(6.0), ..base.clone() }),
        ("shortcut_adaptive", ShortcutConfig { adaptive_offset: Some(0.05), ..base }),
    ];
    for (case, config) in cases {
        check_objective(case, &config, 2e-5);
    }
}

#[test]
fn data_anchored_agrees_with_pytorch() {
    // At a = 0.014 rounding of the network counts 70 times in the gradient.
    check_objective("data_anchored", &DataAnchoredConfig::default(), 5e-5);
    let guidance = Some(TargetGuidance { scale: 1.8, mix: 0.3, fade_time: 0.4 });
    let guided = DataAnchoredConfig { guidance, ..Default::default() };
    check_objective("data_anchored_guided", &guided, 5e-5);
    let weighting = AnchorWeighting::AlphaFlow;
    let alpha_flow = DataAnchoredConfig { weighting, ..Default::default() };
    check_objective("data_anchored_alpha_flow", &alpha_flow, 5e-5);
}

#[test]
fn mean_flow_agrees_with_an_exact_derivative() {
    // The error of the difference quotient, of second order in its step.
    let fine = MeanFlowConfig { difference_step: 0.005, ..Default::default() };
    check_objective("mean_flow", &fine, 1e-3);
}

#[test]
fn improved_mean_flow_agrees_with_an_exact_derivative() {
    let tangent = Tangent::Predicted;
    let plain = MeanFlowConfig { tangent, difference_step: 0.005, ..Default::default() };
    check_objective("improved_mean_flow", &plain, 1e-3);
    let guidance = Some(DrawnGuidance { max_scale: 6.0, unguided_fraction: 0.5 });
    check_objective("improved_mean_flow_guided", &MeanFlowConfig { guidance, ..plain }, 1e-3);
}

#[test]
fn consistency_agrees_with_pytorch() {
    check_objective("consistency", &ConsistencyConfig::default(), 1e-5);
}

#[test]
fn diffusion_agrees_with_diffusers() {
    let base = DiffusionConfig::default();
    let (v, cosine) = (Prediction::V, NoiseSchedule::Cosine);
    let gamma = Some(5.0);
    let cases = [
        ("diffusion_epsilon", base.clone()),
        ("diffusion_v", DiffusionConfig { prediction: v, schedule: cosine, ..base.clone() }),
        ("diffusion_epsilon_min_snr", DiffusionConfig { min_snr_gamma: gamma, ..base.clone() }),
        ("diffusion_v_min_snr", DiffusionConfig { prediction: v, min_snr_gamma: gamma, ..base }),
    ];
    for (case, config) in cases {
        check_objective(case, &config, 3e-5);
    }
}

#[test]
fn ddim_and_ddpm_follow_the_trajectories_of_diffusers() {
    let noise: Tensor<3> = fixture("sampler.noise");
    let (v, cosine) = (Prediction::V, NoiseSchedule::Cosine);
    let (epsilon, linear) = (Prediction::Epsilon, NoiseSchedule::Linear);
    let with = |schedule, prediction| DiffusionSampling { schedule, prediction, clip: 1.5 };
    for (case, sampler) in [
        ("ddim_epsilon_linear", Sampler::Ddim(with(linear, epsilon))),
        ("ddim_v_cosine", Sampler::Ddim(with(cosine, v))),
        ("ddpm_epsilon_linear", Sampler::Ddpm(with(linear, epsilon))),
        ("ddpm_v_cosine", Sampler::Ddpm(with(cosine, v))),
    ] {
        let noise = noise.clone();
        let mut trajectory = sampler.start(StepPlan::new(8).expect("in range"), move |step| {
            let of_step: Tensor<3> = noise.clone().narrow(0, step as usize, 1);
            of_step.squeeze_dim::<2>(0).unsqueeze_dims::<4>(&[2, 3])
        });
        while let Some(time) = trajectory.time() {
            let x = trajectory.state().clone();
            trajectory.advance((x * 2.0).sin() * 0.5 + 0.2 * time.t);
        }
        let expected = images(&format!("sampler.{case}"));
        trajectory
            .state()
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::rel_abs(1e-3, 1e-3));
    }
}

#[test]
fn overheads_are_those_of_the_literature() {
    let overhead = |objective: &dyn Objective| passes_per_row(objective, 64) / 3.0 - 1.0;
    assert_eq!(overhead(&FlowMatchingConfig::default()), 0.0);
    for (bootstrap_fraction, expected) in [(0.125, 1.0 / 12.0), (0.25, 1.0 / 6.0), (0.75, 0.5)] {
        let config = ShortcutConfig { bootstrap_fraction, ..Default::default() };
        assert!((overhead(&config) - expected).abs() < 1e-9, "{bootstrap_fraction}");
    }
    // Guidance doubles what is asked of the finest level, but whole batches are asked.
    let guided = ShortcutConfig { guidance_scale: 2.0, ..Default::default() };
    assert!((overhead(&guided) - 1.0 / 3.0).abs() < 1e-9);
    let anchored = DataAnchoredConfig::default();
    assert!((overhead(&anchored) - 1.0 / 12.0).abs() < 1e-9);
    let guidance = Some(TargetGuidance { scale: 2.0, mix: 0.0, fade_time: 0.1 });
    let anchored = DataAnchoredConfig { guidance, ..anchored };
    assert!((overhead(&anchored) - 0.25).abs() < 1e-9);
    // Two passes for a derivative and one for its tangent, for a quarter of the rows.
    let mean_flow = MeanFlowConfig::default();
    assert!((overhead(&mean_flow) - 1.0 / 6.0).abs() < 1e-9);
    let improved = MeanFlowConfig { tangent: Tangent::Predicted, ..mean_flow.clone() };
    assert!((overhead(&improved) - 0.25).abs() < 1e-9);
    // Guided rows ask for the empty caption's velocity, and for their own where no tangent is it already.
    let guidance = Some(DrawnGuidance { max_scale: 4.0, unguided_fraction: 0.4 });
    let guided = MeanFlowConfig { guidance, ..improved };
    let (expected, found) = ((0.75 + 0.54 * (1.0 + 0.75)) / 3.0, overhead(&guided));
    assert!((found - expected).abs() < 0.01, "{found} {expected}");
    // Rows that join linearly between two points of the run are there for three quarters of it.
    let growing = MeanFlowConfig { mean_start: 0.0, mean_full: 0.5, ..mean_flow };
    let (expected, found) = (0.75 / 6.0, overhead(&growing));
    assert!((found - expected).abs() < 0.005, "{found} {expected}");
    // The gap h leaves a share h of the rows without teacher: 1, 1/2, ... 1/64.
    let expected = (7.0 - (2.0 - 1.0 / 64.0)) / 7.0 / 3.0;
    let found = overhead(&ConsistencyConfig::default());
    assert!((found - expected).abs() < 0.01, "{found} {expected}");
}
