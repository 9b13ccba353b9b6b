//! One step: the gradient over all rows, and what becomes of it.

use std::ops::Range;

use stride_kernels::fused::Precision;
use stride_kernels::workers::{Workers, split_evenly};

use super::config::LoopConfig;
use super::guard::{Fault, GuardState};
use super::loss_map::RowLoss;
use super::metrics::StepValues;
use super::norms::Before;
use super::ranks::Ranks;
use super::state::TrainState;
use super::task::{LossPart, StepInfo, StepLoss, TrainingTask};
use crate::TrainError;
use crate::optim::{NamedGradients, with_own_leaves};

/// Parts that the rows of a step are cut into where the gradient shall not depend on who computes it.
pub(super) const FIXED_PARTS: usize = 8;
/// Samples that a message names.
const SHOWN: usize = 8;

/// What a step is to be.
pub(super) struct StepOrder<'a> {
    pub(super) at: &'a StepInfo,
    /// The schedule's factor on the learning rate.
    pub(super) lr_factor: f64,
    /// Whether norms are measured.
    pub(super) with_norms: bool,
    pub(super) ranks: &'a Ranks,
}

/// Makes steps on the workers of a device.
pub(super) struct Stepper<'a> {
    config: &'a LoopConfig,
    precision: Precision,
    workers: Workers,
}

impl<'a> Stepper<'a> {
    pub(super) fn new(config: &'a LoopConfig) -> Result<Self, TrainError> {
        let precision = Precision::training(config.compute_dtype);
        let workers = Workers::on(&config.device()?).map_err(TrainError::threads)?;
        Ok(Self { config, precision, workers })
    }

    /// Makes a step, unless the guard finds it to spoil the weights.
    pub(super) fn step<T: TrainingTask>(
        &self,
        task: &T,
        state: &mut TrainState<T::Model>,
        guard: &mut GuardState,
        order: &StepOrder<'_>,
    ) -> Result<StepValues, TrainError> {
        let StepOrder { at, lr_factor, with_norms, ranks } = *order;
        let rows = task.batch_size();
        let batch = task.batch(at)?;
        let Gradient { gradients, parts, rows: row_losses } =
            self.gradient(task, state, &batch, ranks);
        let gradients = gradients.sum();
        let norm = gradients.norm();
        let mut losses: Vec<_> = parts.iter().map(|part| (part.name, part.mean)).collect();
        let fault = guard.judge(&self.config.guard, &losses, norm);
        losses.push(("grad_norm", norm));
        let mut norms = Vec::new();
        let skipped = match fault {
            None => {
                let before = with_norms.then(|| Before::of(state.model(), &gradients));
                state.apply(gradients, lr_factor);
                norms = before.map_or_else(Vec::new, |before| before.norms(state.model()));
                None
            }
            Some(fault @ Fault::Spike(..)) => Some(fault.to_string()),
            Some(fault) => {
                let samples = self.samples_at_fault(task, state, &batch, ranks);
                Some(format!("{fault}{samples}"))
            }
        };
        if let Some(reason) = &skipped
            && guard.skipped_in_a_row >= self.config.guard.max_skipped
        {
            let (step, count) = (at.step, guard.skipped_in_a_row);
            return Err(TrainError::Skipped { step, count, reason: reason.clone() });
        }
        Ok(StepValues { losses, rows, skipped, norms, row_losses })
    }

    /// The gradient of the mean loss over all rows, in tensors yet to be added, and the losses.
    fn gradient<T: TrainingTask>(
        &self,
        task: &T,
        state: &TrainState<T::Model>,
        batch: &T::Batch,
        ranks: &Ranks,
    ) -> Gradient {
        let rows = task.batch_size();
        let count = self.workers.count();
        let shares: Vec<Range<usize>> = if self.config.deterministic {
            let all = split_evenly(rows, FIXED_PARTS);
            all[ranks.part_of(all.len())].to_vec()
        } else {
            let own = ranks.part_of(rows);
            let shares = split_evenly(own.len(), count * self.config.gradient_accumulation);
            shares.into_iter().map(|share| own.start + share.start..own.start + share.end).collect()
        };
        let mut sum = Sum::new(self.config.deterministic);
        let (mut parts, mut row_losses): (Vec<LossPart>, _) = (Vec::new(), Vec::new());
        for together in shares.chunks(count) {
            let results = self
                .workers
                .run(together.to_vec(), |range| self.gradient_of_share(task, state, batch, range));
            for share in results {
                sum.add(share.gradients);
                row_losses.extend(share.rows);
                share.parts.into_iter().for_each(|part| LossPart::join(&mut parts, part));
            }
            if shares.len() > count {
                sum.join();
            }
        }
        let gradients = ranks.sum(sum.into_gradients(), self.config.deterministic);
        ranks.join_losses(&mut parts, &mut row_losses);
        // In the order of their names, whichever rows the first share had.
        parts[1..].sort_unstable_by_key(|part| part.name);
        Gradient { gradients, parts, rows: row_losses }
    }

    fn gradient_of_share<T: TrainingTask>(
        &self,
        task: &T,
        state: &TrainState<T::Model>,
        batch: &T::Batch,
        range: Range<usize>,
    ) -> Gradient {
        let of_share = range.len();
        let model = with_own_leaves(state.model());
        let StepLoss { loss, parts, rows } =
            self.precision.scope(|| task.loss(&model, state, batch, range));
        let weighted = loss.clone().mul_scalar(of_share as f64 / task.batch_size() as f64);
        let gradients = NamedGradients::of(&weighted, &model);
        let mean = loss.inner().into_data().iter::<f64>().sum();
        let loss = LossPart { name: "loss", mean, rows: of_share };
        Gradient { gradients, parts: std::iter::once(loss).chain(parts).collect(), rows }
    }

    /// Which rows alone make a loss or gradient that is not finite, as the end of a sentence.
    fn samples_at_fault<T: TrainingTask>(
        &self,
        task: &T,
        state: &TrainState<T::Model>,
        batch: &T::Batch,
        ranks: &Ranks,
    ) -> String {
        let own = ranks.part_of(task.batch_size());
        let rows: Vec<Range<usize>> = own.map(|row| row..row + 1).collect();
        let mut found = Vec::new();
        for together in rows.chunks(self.workers.count()) {
            let are_finite = self.workers.run(together.to_vec(), |row| {
                let Gradient { gradients, parts, .. } =
                    self.gradient_of_share(task, state, batch, row);
                gradients.sum().norm().is_finite() && parts.iter().all(|p| p.mean.is_finite())
            });
            let rows = together.iter().zip(are_finite).filter(|(_, is_finite)| !is_finite);
            found.extend(rows.map(|(row, _)| task.sample_name(batch, row.start)));
        }
        let found: Vec<String> = ranks
            .gather(found.join("\n").into_bytes())
            .iter()
            .flat_map(|names| {
                String::from_utf8_lossy(names).lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        if found.is_empty() {
            return ", though no row alone makes it so".to_owned();
        }
        let more = if found.len() > SHOWN { ", ..." } else { "" };
        let names = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        format!(", because of {} of {} rows: {names}{more}", found.len(), task.batch_size())
    }
}

/// The gradient of some rows, and their losses.
struct Gradient {
    gradients: NamedGradients,
    parts: Vec<LossPart>,
    rows: Vec<RowLoss>,
}

/// Gradients of shares on the way to their sum.
enum Sum {
    /// Added in the order of the shares, all at once where that is possible.
    Free(NamedGradients),
    /// Added in pairs of neighbours, pairs of pairs and so on, each with the number of shares in it, so that whoever
    /// has half of the shares, or a quarter, has a part of the same sum.
    Fixed(Vec<(usize, NamedGradients)>),
}

impl Sum {
    fn new(is_fixed: bool) -> Self {
        if is_fixed { Self::Fixed(Vec::new()) } else { Self::Free(NamedGradients::default()) }
    }

    fn add(&mut self, gradients: NamedGradients) {
        match self {
            Self::Free(sum) => *sum = std::mem::take(sum).plus(gradients),
            Self::Fixed(stack) => {
                let mut next = (1, gradients);
                while let Some((count, last)) = stack.pop_if(|(count, _)| *count == next.0) {
                    next = (2 * count, last.plus(next.1).joined());
                }
                stack.push(next);
            }
        }
    }

    /// Makes room: adds what is there.
    fn join(&mut self) {
        if let Self::Free(sum) = self {
            *sum = std::mem::take(sum).joined();
        }
    }

    fn into_gradients(self) -> NamedGradients {
        match self {
            Self::Free(sum) => sum,
            Self::Fixed(stack) => {
                let all = stack.into_iter().map(|(_, gradients)| gradients);
                all.reduce(|sum, next| sum.plus(next).joined()).unwrap_or_default()
            }
        }
    }
}
