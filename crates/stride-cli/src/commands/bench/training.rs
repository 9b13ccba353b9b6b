//! The rows about training: one step of the shortcut objective and its phases.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Int, Tensor};
use stride::noise::{keyed_rng, purpose};
use stride::objective::{Batch, LevelAllocation, ObjectiveConfig, Row, ShortcutConfig};
use stride_kernels::fused::Precision;
use stride_kernels::workers::{Workers, split_evenly};
use stride_train::{
    EmaConfig, EmaDecay, NamedGradients, OptimizerConfig, TextToLatent, TrainState, with_own_leaves,
};

use super::report::Recorder;
use super::subject::{Subject, draw_weights, random};

/// Rows of the batch, a quarter of which are self-consistency rows.
const BATCH_SIZE: usize = 8;
/// Name of the average that the targets of these rows come from.
const TEACHER: &str = "teacher";
/// Its decay; no time depends on it.
const TEACHER_DECAY: f64 = 0.999;

/// The rows of the table, in the order of [`Phases`].
const ROWS: [&str; 5] =
    ["train_b8", "train_b8_targets", "train_b8_forward", "train_b8_backward", "train_b8_optimizer"];

/// Seconds of a step: all of it, targets, forward, backward, optimizer.
type Phases = [f64; ROWS.len()];

/// A training step as the training loop makes it, on one batch in memory.
///
/// - targets: the teacher's two half steps, and the points of the paths
/// - forward: text encoder and transformer, up to the losses
/// - backward: gradients of all weights
/// - optimizer: joining the gradients of the cores, clipping, AdamW, moving the average
///
/// Every core has its share of the rows; a phase takes as long as its slowest share, so the phases
/// need not add up to the whole. Weights are random: no time depends on them.
pub(super) fn training(subject: &Subject, recorder: &mut Recorder) -> Result<()> {
    let mut step = TrainingStep::new(subject)?;
    let (dit, text) = (subject.dit_flops(), subject.text_flops());
    let forward = BATCH_SIZE as f64 * (dit + text);
    let targets = step.num_bootstrap() as f64 * (2.0 * dit + text);
    let counted = [targets + 3.0 * forward, targets, forward, 2.0 * forward, 0.0];
    recorder.rows(&ROWS, &counted, || Ok(step.run()))
}

struct TrainingStep {
    state: TrainState<TextToLatent>,
    objective: ObjectiveConfig,
    precision: Precision,
    workers: Workers,
    shares: Vec<Share>,
    device: Device,
}

/// What one core computes on.
struct Share {
    /// Self-consistency rows first.
    rows: Vec<Row>,
    x_0: Tensor<4>,
    x_1: Tensor<4>,
    /// Captions of all rows, on the device with gradients.
    captions: Tensor<2, Int>,
    /// Captions of the self-consistency rows, if there are any, on the plain device.
    teacher_captions: Option<Tensor<2, Int>>,
}

impl TrainingStep {
    fn new(subject: &Subject) -> Result<Self> {
        let autodiff = subject.device.clone().autodiff();
        let parts = subject.parts();
        let model = TextToLatent {
            dit: parts.dit.config().init(&autodiff)?,
            text_encoder: parts.text_config.init(&autodiff)?,
        };
        draw_weights(&model);
        let average =
            EmaConfig { name: TEACHER.to_owned(), decay: EmaDecay::Constant(TEACHER_DECAY) };
        // Eight rows are too few for the same number on every level.
        let config = ShortcutConfig { levels: LevelAllocation::Random, ..Default::default() };
        let objective = ObjectiveConfig::Shortcut(config);
        let workers = Workers::on(&subject.device)?;
        let shares = deal(&objective, workers.count())
            .into_iter()
            .map(|rows| Share::new(rows, subject, &autodiff))
            .collect();
        let state = TrainState::new(model, OptimizerConfig::default(), &[average]);
        let precision = Precision::training(subject.compute());
        let device = subject.device.clone();
        Ok(Self { state, objective, precision, workers, shares, device })
    }

    fn num_bootstrap(&self) -> usize {
        self.shares.iter().map(Share::num_bootstrap).sum()
    }

    fn run(&mut self) -> Phases {
        let start = Instant::now();
        let (state, objective) = (&self.state, &self.objective);
        let shares = self.shares.iter().collect();
        let results = self.workers.run(shares, |share: &Share| {
            self.precision.scope(|| share.gradients(state, objective))
        });
        let joined = Instant::now();
        let mut phases = [0.0; ROWS.len()];
        let mut gradients = NamedGradients::default();
        for (share_gradients, share_phases) in results {
            gradients = gradients.plus(share_gradients);
            for (slowest, seconds) in phases[1..].iter_mut().zip(share_phases) {
                *slowest = seconds.max(*slowest);
            }
        }
        self.state.update(gradients, 1.0);
        finish(&self.device);
        phases[4] = joined.elapsed().as_secs_f64();
        phases[0] = start.elapsed().as_secs_f64();
        phases
    }
}

/// Waits until a device has done what it was asked; operations on a GPU return before.
fn finish(device: &Device) {
    device.sync().expect("what was asked of the device can be done");
}

/// The rows of a batch, dealt out so that every core has its part of the self-consistency rows.
fn deal(objective: &ObjectiveConfig, num_workers: usize) -> Vec<Vec<Row>> {
    let mut rngs: Vec<_> =
        (0..BATCH_SIZE as u64).map(|row| keyed_rng(0, purpose::TRAINING_ROW, 0, row)).collect();
    let rows = objective.plan_rows(1.0, &mut rngs);
    let num_shares = split_evenly(BATCH_SIZE, num_workers).len();
    (0..num_shares)
        .map(|share| rows.iter().skip(share).step_by(num_shares).copied().collect())
        .collect()
}

impl Share {
    fn new(rows: Vec<Row>, subject: &Subject, autodiff: &Device) -> Self {
        let shape = subject.latent_shape(rows.len());
        let mut share = Self {
            x_0: random(shape, &subject.device),
            x_1: random(shape, &subject.device),
            captions: subject.captions(rows.len(), autodiff),
            teacher_captions: None,
            rows,
        };
        if share.num_bootstrap() > 0 {
            let captions = subject.captions(share.num_bootstrap(), &subject.device);
            share.teacher_captions = Some(captions);
        }
        share
    }

    fn num_bootstrap(&self) -> usize {
        self.rows.iter().filter(|row| row.needs_teacher()).count()
    }

    /// The share's part of the gradients, and the seconds of targets, forward and backward.
    fn gradients(
        &self,
        state: &TrainState<TextToLatent>,
        objective: &ObjectiveConfig,
    ) -> (NamedGradients, [f64; 3]) {
        let start = Instant::now();
        let teacher = state.ema(TEACHER).zip(self.teacher_captions.clone());
        let teacher =
            teacher.map(|(teacher, captions)| (teacher, teacher.text_encoder.forward(captions)));
        let (x_0, x_1) = (self.x_0.clone(), self.x_1.clone());
        let batch = Batch { rows: &self.rows, progress: 1.0, x_0, x_1 };
        let targets = objective.targets(batch, &|input, _, _| match &teacher {
            Some((teacher, context)) => teacher.dit.forward_guided(input, context),
            None => input.x_t,
        });
        let device = self.x_0.device();
        finish(&device);
        let aimed = Instant::now();

        let model = with_own_leaves(state.model());
        let prediction = model.forward(targets.input.for_student(), self.captions.clone());
        let weight = self.rows.len() as f64 / BATCH_SIZE as f64;
        let loss = targets.loss(targets.row_losses(prediction)).mul_scalar(weight);
        finish(&device);
        let predicted = Instant::now();

        let gradients = NamedGradients::of(&loss, &model);
        finish(&device);
        let phases = [aimed - start, predicted - aimed, predicted.elapsed()];
        (gradients, phases.map(|phase| phase.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_consistency_rows_are_dealt_evenly_and_stand_first() {
        let config = ShortcutConfig { levels: LevelAllocation::Random, ..Default::default() };
        let objective = ObjectiveConfig::Shortcut(config);
        for (workers, shares) in [(1, 1), (2, 2), (3, 3), (8, 8), (64, 8)] {
            let dealt = deal(&objective, workers);
            assert_eq!(dealt.len(), shares);
            assert_eq!(dealt.iter().map(Vec::len).sum::<usize>(), BATCH_SIZE);
            let bootstrap =
                |rows: &[Row]| rows.iter().take_while(|row| row.needs_teacher()).count();
            let counts: Vec<usize> = dealt.iter().map(|rows| bootstrap(rows)).collect();
            assert_eq!(counts.iter().sum::<usize>(), BATCH_SIZE / 4, "{counts:?}");
            assert!(counts.iter().all(|&count| count <= 2_usize.div_ceil(shares)), "{counts:?}");
        }
    }
}
