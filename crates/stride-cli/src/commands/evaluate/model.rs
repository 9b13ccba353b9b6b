//! A model at every step count against real images.

use std::io::Write as _;

use stride_data::Part;
use stride_eval::EvalError;
use stride_eval::evaluator::{DataSplit, Evaluator, FeatureStore};
use stride_eval::report::evaluation::{self, EvaluationImages};
use stride_kernels::workers::Workers;

use super::arguments::Evaluate;
use super::job::Job;
use super::progress::ProgressBar;
use super::{losses, models, networks};
use crate::interrupt;
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
        if job.samples < 2 {
            return usage("--samples: expected at least 2");
        }
        let stop = interrupt::stop_flag()?;
        let splits = open_splits(job)?;
        let networks = networks::load(job)?;
        let models = models::load(job)?;
        let images = self.out.as_ref().map(|out| out.join("images")).filter(|_| self.save_images);
        let workers = Workers::on(&job.compute.device())?;
        let evaluator = Evaluator::new(job.settings(), models, splits, networks, workers)?
            .with_image_dir(images);
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
                return Ok(());
            }
            Some((set, images)) => anyhow::bail!(
                "images {} to {} of {set} are in none of the folders; evaluate the part of --shard that has them, and \
                 merge the folders of all parts",
                images.start,
                images.end - 1
            ),
            None => {}
        }
        let mut report = evaluator.report(&store)?;
        report.losses = job.run.as_deref().map(losses::read).transpose()?.unwrap_or_default();
        if let Some(out) = &self.out {
            let images =
                EvaluationImages::generate(&evaluator, &report, &stop).map_err(with_hint)?;
            evaluation::write(&report, &images, out)?;
        }
        let text =
            if self.json { serde_json::to_string(&report)? } else { evaluation::tables(&report) };
        writeln!(crate::terminal::stdout(), "{}", text.trim_end())?;
        Ok(())
    }
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
