//! The transformer and the shortcut loss against an implementation in PyTorch
//! (`parity/export_dit.py`).

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, Tolerance};
use stride::context::TextContext;
use stride::dit::{Dit, DitConfig, MlpKind, NormKind, TextConditioning};
use stride::objective::{Batch, NetworkInput, Objective, Row, RowKind, ShortcutConfig};
use stride::weights::{self, SafetensorsBytes, StoredDtype};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;

/// A fixture with the name it has in errors.
struct Fixture(&'static str, &'static [u8]);

impl Fixture {
    fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        weights::tensor(self.0, self.1, key, device).expect("fixture")
    }

    fn context(&self, device: &Device) -> TextContext {
        TextContext {
            tokens: self.tensor("tokens", device),
            padding_mask: self.tensor::<2>("padding", device).greater_elem(0.5),
            pooled: self.tensor("pooled", device),
        }
    }

    /// The model's weights; the file's inputs, outputs and gradients lie outside the prefix.
    fn model(&self, config: &DitConfig, device: &Device) -> Dit {
        let model = config.init(device).expect("valid config");
        weights::load(model, self.0, self.1, "model.").expect("fixture fits")
    }
}

fn reference_config() -> DitConfig {
    DitConfig {
        input_size: 6,
        in_channels: 2,
        hidden_size: 16,
        depth: 2,
        num_heads: 2,
        context_dim: 12,
        ..DitConfig::s(2)
    }
}

fn check_forward(fixture: &Fixture, config: &DitConfig) {
    let device = Device::flex();
    let velocity = fixture.model(config, &device).forward(
        fixture.tensor("x_t", &device),
        fixture.tensor("t", &device),
        fixture.tensor("log2_steps", &device),
        &fixture.context(&device),
    );
    let expected = fixture.tensor::<4>("velocity", &device);
    velocity.to_data().assert_approx_eq::<f32>(&expected.to_data(), Tolerance::rel_abs(1e-4, 1e-4));
}

#[test]
fn reference_forward_agrees_with_pytorch() {
    let bytes = include_bytes!("../fixtures/dit_reference.safetensors");
    check_forward(&Fixture("dit_reference", bytes), &reference_config());
}

#[test]
fn bf16_stays_close_to_f32_forwards_and_backwards() {
    let bytes = include_bytes!("../fixtures/dit_reference.safetensors");
    let fixture = Fixture("dit_reference", bytes);
    let device = Device::flex().autodiff();
    let run = |compute| {
        let model = fixture.model(&reference_config(), &device);
        let x_t = fixture.tensor::<4>("x_t", &device).require_grad();
        let velocity = Precision::training(compute).scope(|| {
            let (t, log2_steps) =
                (fixture.tensor("t", &device), fixture.tensor("log2_steps", &device));
            model.forward(x_t.clone(), t, log2_steps, &fixture.context(&device))
        });
        let gradients = velocity.clone().square().sum().backward();
        [velocity.inner(), x_t.grad(&gradients).expect("tracked")]
    };
    let (full, half) = (run(Compute::F32), run(Compute::Bf16));
    // A gradient has gone through twice as many products.
    for (what, bound, place) in [("velocity", 2e-2, 0), ("gradient", 5e-2, 1)] {
        let (full, half) = (&full[place], &half[place]);
        let norm = |x: Tensor<4>| x.square().sum().sqrt().into_scalar::<f32>();
        let error = norm(half.clone() - full.clone()) / norm(full.clone());
        println!("{what}: relative error {error:.1e}");
        assert!(error > 0.0 && error < bound, "{what}: relative error {error:.1e}");
    }
}

#[test]
fn forward_with_all_options_agrees_with_pytorch() {
    let bytes = include_bytes!("../fixtures/dit_all_options.safetensors");
    let config = DitConfig {
        text_conditioning: TextConditioning::PooledAndTokens,
        time_scale: 30.0,
        qk_norm: true,
        mlp: MlpKind::Swiglu,
        norm: NormKind::RmsNorm,
        rope: true,
        ..reference_config()
    };
    check_forward(&Fixture("dit_all_options", bytes), &config);
}

#[test]
fn a_batch_equals_its_rows_alone() {
    let device = Device::flex();
    let fixture =
        Fixture("dit_all_options", include_bytes!("../fixtures/dit_all_options.safetensors"));
    let config = DitConfig { num_heads: 4, ..reference_config() };
    let model = reparameterize(config.init(&device).expect("valid config"));
    let context = fixture.context(&device);
    let (x, t): (Tensor<4>, Tensor<1>) =
        (fixture.tensor("x_t", &device), fixture.tensor("t", &device));
    let k: Tensor<1> = fixture.tensor("log2_steps", &device);
    let together = model.forward(x.clone(), t.clone(), k.clone(), &context);
    for row in 0..3 {
        let one = TextContext {
            tokens: context.tokens.clone().narrow(0, row, 1),
            padding_mask: context.padding_mask.clone().narrow(0, row, 1),
            pooled: context.pooled.clone().narrow(0, row, 1),
        };
        let alone = model.forward(
            x.clone().narrow(0, row, 1),
            t.clone().narrow(0, row, 1),
            k.clone().narrow(0, row, 1),
            &one,
        );
        let expected = together.clone().narrow(0, row, 1);
        alone
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::rel_abs(1e-5, 1e-5));
    }
}

#[test]
fn captions_of_other_lengths_beside_it_change_no_answer() {
    let device = Device::flex();
    let fixture =
        Fixture("dit_all_options", include_bytes!("../fixtures/dit_all_options.safetensors"));
    let config =
        DitConfig { text_conditioning: TextConditioning::PooledAndTokens, ..reference_config() };
    let model = reparameterize(config.init(&device).expect("valid config"));
    let context = fixture.context(&device);
    let length = context.tokens.dims()[1];
    let contexts = [length - 1, length, 1].map(|length| TextContext {
        tokens: context.tokens.clone().narrow(0, 0, 1).narrow(1, 0, length),
        padding_mask: context.padding_mask.clone().narrow(0, 0, 1).narrow(1, 0, length),
        pooled: context.pooled.clone().narrow(0, 0, 1),
    });
    let answer = |first, count, context: &TextContext| {
        let row = |key| fixture.tensor::<1>(key, &device).narrow(0, first, count);
        let x_t = fixture.tensor::<4>("x_t", &device).narrow(0, first, count);
        model.forward(x_t, row("t"), row("log2_steps"), context)
    };
    let together = answer(0, 3, &TextContext::cat(&contexts));
    for (row, context) in contexts.iter().enumerate() {
        let (alone, together) = (answer(row, 1, context), together.clone().narrow(0, row, 1));
        let error = (alone - together).abs().max().into_scalar::<f32>();
        println!("row {row}: largest error {error:.1e}");
        assert!(error < 1e-5, "row {row}: {error}");
    }
}

#[test]
fn the_guidance_scale_is_an_input_where_it_is_configured() {
    let device = Device::flex();
    let fixture =
        Fixture("dit_all_options", include_bytes!("../fixtures/dit_all_options.safetensors"));
    let config = DitConfig { guidance_input: true, ..reference_config() };
    let model = reparameterize(config.init(&device).expect("valid config"));
    let context = fixture.context(&device);
    let answer = |scale: Option<f64>| {
        let x_t: Tensor<4> = fixture.tensor("x_t", &device);
        let t: Tensor<1> = fixture.tensor("t", &device);
        let log2_steps = fixture.tensor("log2_steps", &device);
        let guidance_scale = scale.map(|scale| t.zeros_like() + scale);
        let input = NetworkInput { x_t, t, log2_steps, guidance_scale };
        model.forward_guided(input, &context).into_data().iter::<f32>().collect::<Vec<_>>()
    };
    assert_eq!(answer(None), answer(Some(1.0)), "no scale is a scale of 1");
    assert_ne!(answer(Some(1.0)), answer(Some(3.0)));
    assert!(answer(Some(1e9)).iter().all(|value| value.is_finite()));
}

#[test]
fn the_second_output_projects_the_features_of_the_first() {
    let device = Device::flex();
    let fixture =
        Fixture("dit_all_options", include_bytes!("../fixtures/dit_all_options.safetensors"));
    let config = DitConfig { velocity_head: true, ..reference_config() };
    let model = config.init(&device).expect("valid config");
    let context = fixture.context(&device);
    let input = NetworkInput {
        x_t: fixture.tensor("x_t", &device),
        t: fixture.tensor("t", &device),
        log2_steps: fixture.tensor("log2_steps", &device),
        guidance_scale: None,
    };
    let numbers = |velocity: Tensor<4>| velocity.into_data().iter::<f32>().collect::<Vec<_>>();
    let zero = numbers(model.forward_velocity(input.clone(), &context));
    assert!(zero.iter().all(|&value| value == 0.0), "zero until trained");

    // With all parameters moved alike, both outputs have the same weights.
    let model = reparameterize(model);
    let [mean_velocity, velocity] = model.forward_both(input.clone(), &context).map(numbers);
    assert_eq!(mean_velocity, velocity);
    assert_eq!(mean_velocity, numbers(model.forward_guided(input.clone(), &context)));
    assert_eq!(velocity, numbers(model.forward_velocity(input, &context)));
    assert!(velocity.iter().any(|&value| value != 0.0));

    // It is saved with the others, and a network without it leaves it out.
    let bytes = weights::save(&model, "", StoredDtype::F32, &[]).expect("writable");
    let names = |config: &DitConfig| {
        let model = config.init(&device).expect("valid config");
        let source = SafetensorsBytes::open("saved", &bytes).expect("whole");
        let (_, report) = model.load_shared(&source).expect("fits");
        (report.left_out.len(), report.fresh.len())
    };
    assert_eq!(names(&config), (0, 0));
    assert_eq!(names(&reference_config()), (2, 0));
}

/// Moves every parameter off its initial value, so that no path is closed by a zero gate.
fn reparameterize(model: Dit) -> Dit {
    struct Shift;
    impl ModuleMapper for Shift {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value + 0.05)
        }
    }
    model.map(&mut Shift)
}

#[test]
fn shortcut_loss_and_every_gradient_agree_with_pytorch() {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    let fixture = Fixture("shortcut_loss", include_bytes!("../fixtures/shortcut_loss.safetensors"));
    let config = reference_config();

    let column =
        |key| fixture.tensor::<1>(key, &device).into_data().iter::<f64>().collect::<Vec<_>>();
    let rows: Vec<Row> = column("t")
        .into_iter()
        .zip(column("log2_steps"))
        .map(|(t, k)| Row {
            kind: if k < 7.0 { RowKind::Bootstrap } else { RowKind::Flow },
            log2_steps: k,
            ..Row::flow(t)
        })
        .collect();

    let teacher = scale(fixture.model(&config, &device), 0.9);
    let context = fixture.context(&device);
    let bootstrap_context = TextContext {
        tokens: context.tokens.clone().narrow(0, 0, 7),
        padding_mask: context.padding_mask.clone().narrow(0, 0, 7),
        pooled: context.pooled.clone().narrow(0, 0, 7),
    };
    let objective = ShortcutConfig { clip: 2.0, ..Default::default() };
    let (x_0, x_1) = (fixture.tensor("x_0", &device), fixture.tensor("x_1", &device));
    let batch = Batch { rows: &rows, progress: 1.0, x_0, x_1 };
    let targets =
        objective.targets(batch, &|input, _, _| teacher.forward_guided(input, &bootstrap_context));
    let tolerance = Tolerance::rel_abs(1e-4, 1e-4);
    let expected: Tensor<4> = fixture.tensor("v_target", &device);
    targets.target.to_data().assert_approx_eq::<f32>(&expected.to_data(), tolerance);

    let student = fixture.model(&config, &autodiff);
    let prediction =
        student.forward_guided(targets.input.for_student(), &fixture.context(&autodiff));
    let loss = targets.loss(targets.row_losses(prediction));
    let expected: Tensor<1> = fixture.tensor("loss", &device);
    loss.clone().inner().to_data().assert_approx_eq::<f32>(&expected.to_data(), tolerance);

    let gradients = loss.backward();
    let expected =
        weights::load(config.init(&device).expect("valid"), fixture.0, fixture.1, "grad.")
            .expect("fixture fits");
    let mut expected_values = Values(Vec::new());
    expected.visit(&mut expected_values);
    let mut compare = Compare { gradients, expected: expected_values.0.into_iter(), compared: 0 };
    student.visit(&mut compare);
    assert_eq!(compare.compared, 36, "parameters compared");
}

fn scale(model: Dit, factor: f64) -> Dit {
    struct Scale(f64);
    impl ModuleMapper for Scale {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let factor = self.0;
            param.map(|value| value * factor)
        }
    }
    model.map(&mut Scale(factor))
}

struct Values(Vec<Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().into_data().iter().collect());
    }
}

struct Compare {
    gradients: Gradients,
    expected: std::vec::IntoIter<Vec<f32>>,
    compared: usize,
}

impl ModuleVisitor for Compare {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(&self.gradients).expect("every parameter is used");
        let found: Vec<f32> = gradient.into_data().iter().collect();
        let expected = self.expected.next().expect("as many as parameters");
        let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let error = found.iter().zip(&expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(
            error <= 1e-4 * scale,
            "parameter {}: error {error}, largest {scale}",
            self.compared
        );
        self.compared += 1;
    }
}
