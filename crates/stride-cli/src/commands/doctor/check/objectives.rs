//! Every objective: targets, losses of the rows, and the gradients of a training step.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use stride::dit::DitConfig;
use stride::noise::{keyed_rng, purpose};
use stride::objective::{
    Batch, Conditioning, ConsistencyConfig, DataAnchoredConfig, DiffusionConfig,
    FlowMatchingConfig, Head, MeanFlowConfig, NetworkInput, ObjectiveConfig, Row, ShortcutConfig,
};

use super::comparison::{Case, Computation, Outcome};
use super::networks::{plain_transformer, text_to_latent};
use super::samples::{captions, empty_captions, on, random};

/// Rows of the batch.
const ROWS: usize = 8;

/// Everything, by name.
pub(super) fn all() -> Vec<Case> {
    use ObjectiveConfig as Kind;
    let all: [Case; 6] = [
        ("diffusion", || step(Kind::Diffusion(DiffusionConfig::default()))),
        ("flow matching", || step(Kind::FlowMatching(FlowMatchingConfig::default()))),
        ("shortcut", || step(Kind::Shortcut(ShortcutConfig::default()))),
        ("data-anchored", || step(Kind::DataAnchored(DataAnchoredConfig::default()))),
        ("mean flow", || step(Kind::MeanFlow(MeanFlowConfig::default()))),
        ("consistency", || step(Kind::Consistency(ConsistencyConfig::default()))),
    ];
    all.into()
}

fn step(objective: ObjectiveConfig) -> Result<Computation> {
    let velocity_head = objective.needs_velocity_head();
    let network = text_to_latent(&DitConfig { velocity_head, ..plain_transformer() })?;
    let mut rngs: Vec<_> =
        (0..ROWS as u64).map(|row| keyed_rng(0, purpose::TRAINING_ROW, 0, row)).collect();
    // In the middle of a run, when all kinds of rows are drawn.
    let rows = objective.plan_rows(PROGRESS, &mut rngs);
    Ok(Box::new(move |device| compute(&objective, &network, &rows, device)))
}

/// The fraction of the run that is done.
const PROGRESS: f64 = 0.5;

fn compute(
    objective: &ObjectiveConfig,
    network: &stride_train::TextToLatent,
    rows: &[Row],
    device: &Device,
) -> Result<Outcome> {
    let student = on(network, device);
    let teacher = student.valid();
    let latents = |stream| random(stream, [ROWS, 4, 4, 4], device);
    let batch = Batch { rows, progress: PROGRESS, x_0: latents(0), x_1: latents(1) };
    let ask = |input: NetworkInput, on, head| {
        let count = input.x_t.dims()[0];
        let context = teacher.text_encoder.forward(match on {
            Conditioning::Caption => captions(count, device),
            Conditioning::Null => empty_captions(count, device),
        });
        match head {
            Head::MeanVelocity => teacher.dit.forward_guided(input, &context),
            Head::Velocity => teacher.dit.forward_velocity(input, &context),
        }
    };
    let targets = objective.targets(batch, &ask);
    let captions = captions(ROWS, &device.clone().autodiff());
    let input = targets.input.for_student();
    let (prediction, velocity) = if targets.velocity.is_some() {
        let [prediction, velocity] = student.forward_both(input, captions);
        (prediction, Some(velocity))
    } else {
        (student.forward(input, captions), None)
    };
    let losses = targets.row_losses(prediction);
    let outcome =
        Outcome::of("target", targets.target.clone()).with("row losses", losses.clone().inner());
    let mut loss = targets.loss(losses);
    if let Some(velocity) = velocity {
        loss = loss + targets.loss(targets.velocity_losses(velocity));
    }
    Ok(outcome.with_gradients(&loss, &student))
}
