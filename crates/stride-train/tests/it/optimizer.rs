//! AdamW and Muon against `torch.optim` (fixture of `parity/export_adamw.py`).

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use stride::weights;
use stride_kernels::gemm::Compute;
use stride_train::{NamedGradients, Optimizer, OptimizerConfig, OptimizerKind};

const FIXTURE: &[u8] = include_bytes!("../fixtures/optimizer.safetensors");

#[derive(Module, Debug)]
struct Network {
    /// The name puts the matrices under Muon.
    blocks: Block,
}

#[derive(Module, Debug)]
struct Block {
    tall: Param<Tensor<2>>,
    wide: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

fn fixture<const D: usize>(name: &str) -> Tensor<D> {
    weights::tensor("optimizer.safetensors", FIXTURE, name, &Device::flex())
        .expect("in the fixture")
}

fn network() -> Network {
    let matrix = |name| Param::from_tensor(fixture::<2>(name).transpose().autodiff());
    let (tall, wide) = (matrix("start.tall"), matrix("start.wide"));
    let bias = Param::from_tensor(fixture::<1>("start.bias").autodiff());
    Network { blocks: Block { tall, wide, bias } }
}

/// The sum of all parameters times the fixture's gradients of one step.
fn loss(network: &Network, step: usize) -> Tensor<1> {
    let of = |parameter: &Param<Tensor<2>>, name| {
        let gradient = fixture::<3>(name).narrow(0, step, 1).squeeze_dim::<2>(0).transpose();
        parameter.val().mul(gradient.autodiff()).sum()
    };
    let bias = fixture::<2>("gradients.bias").narrow(0, step, 1).squeeze_dim::<1>(0);
    of(&network.blocks.tall, "gradients.tall")
        .add(of(&network.blocks.wide, "gradients.wide"))
        .add(network.blocks.bias.val().mul(bias.autodiff()).sum())
}

fn train(config: OptimizerConfig) -> (Network, Vec<f64>) {
    let (mut network, mut optimizer, mut norms) = (network(), Optimizer::new(config), Vec::new());
    for step in 0..4 {
        let gradients = NamedGradients::of(&loss(&network, step), &network);
        let (next, norm) = optimizer.step(network, gradients, 1.0);
        network = next;
        norms.push(norm);
    }
    (network, norms)
}

fn config(kind: OptimizerKind) -> OptimizerConfig {
    OptimizerConfig {
        kind,
        learning_rate: 1e-2,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weight_decay: 0.1,
        max_grad_norm: None,
        muon_learning_rate: 0.02,
        muon_compute: Compute::F32,
        lr_factors: BTreeMap::new(),
        ..OptimizerConfig::default()
    }
}

fn assert_close<const D: usize>(what: &str, ours: Tensor<D>, theirs: Tensor<D>, tolerance: f32) {
    let error: f32 = ours.inner().sub(theirs).abs().max().into_scalar();
    println!("{what}: largest error {error:e}");
    assert!(error < tolerance, "{what}: largest error {error:e}");
}

#[test]
fn adamw_is_torchs() {
    let (network, norms) = train(config(OptimizerKind::Adamw));
    let Block { tall, wide, bias } = network.blocks;
    assert_close("tall", tall.val().transpose(), fixture("adamw.tall"), 1e-6);
    assert_close("wide", wide.val().transpose(), fixture("adamw.wide"), 1e-6);
    assert_close("bias", bias.val(), fixture("adamw.bias"), 1e-6);
    let all = ["tall", "wide"].map(|n| fixture::<3>(&format!("gradients.{n}")).narrow(0, 0, 1));
    let squares: f32 = all.into_iter().map(|g| g.square().sum().into_scalar::<f32>()).sum();
    let bias: f32 = fixture::<2>("gradients.bias").narrow(0, 0, 1).square().sum().into_scalar();
    assert!((norms[0] - f64::from(squares + bias).sqrt()).abs() < 1e-5, "norm over all parameters");
}

#[test]
fn muon_is_torchs_and_leaves_the_rest_to_adamw() {
    let Block { tall, wide, bias } = train(config(OptimizerKind::Muon)).0.blocks;
    assert_close("tall", tall.val().transpose(), fixture("muon.tall"), 1e-5);
    assert_close("wide", wide.val().transpose(), fixture("muon.wide"), 1e-5);
    assert_close("bias", bias.val(), fixture("adamw.bias"), 1e-6);
}

#[test]
fn muon_in_bf16_moves_as_in_f32() {
    let config = OptimizerConfig { muon_compute: Compute::Bf16, ..config(OptimizerKind::Muon) };
    let Block { tall, wide, .. } = train(config).0.blocks;
    // Four steps of 0.02 sqrt(7 / 3) at most, of an orthogonal matrix whose numbers are off by 0.02.
    assert_close("tall", tall.val().transpose(), fixture("muon.tall"), 2.5e-3);
    assert_close("wide", wide.val().transpose(), fixture("muon.wide"), 2.5e-3);
}

#[test]
fn a_zero_factor_freezes_what_its_prefix_names() {
    let lr_factors = BTreeMap::from([("blocks".to_owned(), 1.0), ("blocks.bias".to_owned(), 0.0)]);
    let config = OptimizerConfig { lr_factors, ..config(OptimizerKind::Adamw) };
    let Block { tall, bias, .. } = train(config).0.blocks;
    assert_close("bias", bias.val(), fixture("start.bias"), 1e-9);
    assert_close("tall", tall.val().transpose(), fixture("adamw.tall"), 1e-6);
}

#[test]
fn a_part_that_starts_late_makes_the_steps_that_it_would_have_made() {
    let start_steps = BTreeMap::from([("blocks.tall".to_owned(), 3)]);
    let late = OptimizerConfig { start_steps, ..config(OptimizerKind::Adamw) };
    let Block { tall, wide, .. } = train(late).0.blocks;
    assert_close("wide", wide.val().transpose(), fixture("adamw.wide"), 1e-6);
    // Its one step is a first one: by the learning rate in the direction of the sign, beside the decay.
    let start = fixture::<2>("start.tall");
    let gradient = fixture::<3>("gradients.tall").narrow(0, 3, 1).squeeze_dim::<2>(0);
    let expected = start.mul_scalar(1.0 - 1e-2 * 0.1).sub(gradient.sign().mul_scalar(1e-2));
    assert_close("tall", tall.val().transpose(), expected, 1e-6);
}

#[test]
fn masked_parameters_do_not_decay() {
    let of = |weight_decay, no_decay: &[&str]| {
        let no_decay = no_decay.iter().map(|&part| part.to_owned()).collect();
        let config = OptimizerConfig { weight_decay, no_decay, ..config(OptimizerKind::Adamw) };
        train(config).0.blocks
    };
    let (masked, plain) = (of(0.1, &["wide"]), of(0.0, &[]));
    assert_close("wide", masked.wide.val(), plain.wide.val().inner(), 1e-9);
    assert_close("tall", masked.tall.val().transpose(), fixture("adamw.tall"), 1e-6);
}

#[test]
fn gradients_that_are_not_finite_change_nothing() {
    let network = network();
    let bad = loss(&network, 0).mul_scalar(f64::NAN);
    let gradients = NamedGradients::of(&bad, &network);
    let mut optimizer = Optimizer::new(config(OptimizerKind::Adamw));
    let (network, norm) = optimizer.step(network, gradients, 1.0);
    assert!(norm.is_nan());
    assert_eq!(optimizer.steps(), 0);
    assert_close("bias", network.blocks.bias.val(), fixture("start.bias"), 1e-9);
}

#[test]
fn clipping_leaves_adamw_alone_but_for_its_epsilon() {
    // AdamW does not see the scale of its gradients, so every step clipped by one factor changes nothing.
    let scaled = |max_grad_norm| OptimizerConfig { max_grad_norm, ..config(OptimizerKind::Adamw) };
    let one_step = |config| {
        let network = network();
        let gradients = NamedGradients::of(&loss(&network, 0), &network);
        Optimizer::new(config).step(network, gradients, 1.0).0.blocks.bias.val()
    };
    assert_close("bias", one_step(scaled(Some(1e-2))), one_step(scaled(None)).inner(), 1e-6);
}
