//! A model at every step count, against real images or on prompts.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use stride_data::{Part, Pixels};
use stride_eval::EvalError;
use stride_eval::evaluator::{DataSplit, Evaluator, FeatureStore};
use stride_eval::prompts::PromptSet;
use stride_eval::report::evaluation::{self, EvaluationImages};
use stride_eval::report::prompts::{self, PromptImages};
use stride_kernels::workers::Workers;

use super::arguments::Evaluate;
use super::job::Job;
use super::progress::ProgressBar;
use super::{losses, models, networks};
use crate::interrupt;
use crate::terminal::{printable, printable_json};
use crate::usage::usage;

impl Evaluate {
    /// Evaluates what is not evaluated yet; then reports, if everything is.
    pub(super) fn evaluate_model(&self) -> anyhow::Result<()> {
        self.report(true)
    }

    /// Reports on parts that were put together, of which none may be missing.
    pub(super) fn report_merged(&self) -> anyhow::Result<()> {
        self.report(false)
    }

    fn report(&self, collects: bool) -> anyhow::Result<()> {
        let job = &self.job;
        let stop = interrupt::stop_flag()?;
        let images = self.out.as_ref().map(|out| out.join("images")).filter(|_| self.save_images);
        let evaluator = match &job.prompts {
            Some(prompts) => of_prompts(job, prompts)?,
            None => of_data(job)?,
        };
        let evaluator = evaluator.with_image_dir(images);
        let mut store = match &self.out {
            Some(out) => FeatureStore::open(out, &evaluator.identity(job.clone()))?,
            None => FeatureStore::in_memory(),
        };
        let part = self.shard.unwrap_or(Part::ALL);
        if collects {
            let mut progress = ProgressBar::new("images");
            let collected =
                evaluator.collect(part, &mut store, &stop, &mut |at| progress.update(at));
            collected.map_err(with_hint)?;
            progress.finish();
        }
        match evaluator.missing(&store) {
            Some((set, images)) if collects => {
                tracing::info!(
                    "part {} of {} is done; images {} to {} of {set} wait for another part: stride evaluate merge \
                     DIR... --out DIR",
                    part.index + 1,
                    part.count,
                    images.start,
                    images.end - 1
                );
                Ok(())
            }
            Some((set, images)) => anyhow::bail!(
                "images {} to {} of {set} are in none of the folders; evaluate the part of --shard that has them, and \
                 merge the folders of all parts",
                images.start,
                images.end - 1
            ),
            None if job.prompts.is_some() => self.report_on_prompts(&evaluator, &store, &stop),
            None => self.report_on_data(&evaluator, &store, &stop),
        }
    }

    fn report_on_data(
        &self,
        evaluator: &Evaluator,
        store: &FeatureStore,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let mut report = evaluator.report(store)?;
        report.losses = self.job.run.as_deref().map(losses::read).transpose()?.unwrap_or_default();
        if let Some(out) = &self.out {
            let images = EvaluationImages::generate(evaluator, &report, stop).map_err(with_hint)?;
            evaluation::write(&report, &images, out)?;
        }
        self.print(&report, evaluation::tables)
    }

    fn report_on_prompts(
        &self,
        evaluator: &Evaluator,
        store: &FeatureStore,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let report = evaluator.prompt_report(store)?;
        if let Some(out) = &self.out {
            let images = PromptImages::generate(evaluator, &report, stop).map_err(with_hint)?;
            prompts::write(&report, &images, out)?;
        }
        self.print(&report, prompts::tables)
    }

    fn print<R: Serialize>(&self, report: &R, tables: fn(&R) -> String) -> anyhow::Result<()> {
        let text = if self.json {
            printable_json(&serde_json::to_string(report)?)
        } else {
            printable(&tables(report))
        };
        writeln!(crate::terminal::stdout(), "{}", text.trim_end())?;
        Ok(())
    }
}

/// An evaluator against the data of a job.
fn of_data(job: &Job) -> anyhow::Result<Evaluator> {
    if job.samples < 2 {
        return usage("--samples: expected at least 2");
    }
    if job.protocol.protocol().pixels() == Pixels::Stored {
        return usage(
            "--protocol pytorch-fid-stored: expected SAMPLES and REFERENCE, found --data, whose images are those of \
             training; use --protocol pytorch-fid",
        );
    }
    let splits = open_splits(job)?;
    let networks = networks::load(job)?;
    let models = models::load(job)?;
    let workers = Workers::on(&job.compute.device()?)?;
    Ok(Evaluator::new(job.settings(), models, splits, networks, workers)?)
}

/// An evaluator of a job's model on prompts, which are read before anything large is.
fn of_prompts(job: &Job, path: &Path) -> anyhow::Result<Evaluator> {
    let networks = networks::load(job)?;
    let known = networks.classifier().map_or(&[][..], |judge| &judge.config().attributes);
    let prompts = PromptSet::open(path, job.seeds, known)?;
    // Checkpoints need data, and are not there.
    let model = models::load(job)?.swap_remove(0);
    let workers = Workers::on(&job.compute.device()?)?;
    Ok(Evaluator::of_prompts(job.settings(), model, prompts, networks, workers)?)
}

/// The data, and the held-out data where there is some.
fn open_splits(job: &Job) -> anyhow::Result<Vec<DataSplit>> {
    let mut splits = Vec::new();
    for (label, path) in [("data", &job.data), ("heldout", &job.heldout)] {
        let Some(path) = path else { continue };
        let split = DataSplit::open(label, path, job.samples)?;
        let found = split.folder.images.len();
        if found < job.samples {
            return usage(format!(
                "--samples {}: {} lists {found} images; name fewer samples",
                job.samples,
                path.display()
            ));
        }
        splits.push(split);
    }
    Ok(splits)
}

/// Tells how an interrupted evaluation goes on.
fn with_hint(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    match error.downcast_ref() {
        Some(EvalError::Interrupted) => {
            anyhow::anyhow!("interrupted; with --out, the same command goes on from here")
        }
        _ => error,
    }
}
