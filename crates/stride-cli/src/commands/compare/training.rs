//! Trains one side, or finds that it is trained.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use stride_models::Model;
use stride_train::{LogProgress, Progress, ProgressUpdate, Resume, RunStart, changed_settings};

use super::plan::Side;
use crate::commands::train::Bar;
use crate::progress;

/// Trains a side up to its steps, from its latest checkpoint if there is one.
pub(super) fn train(side: &Side, label: &str, stop: &AtomicBool) -> Result<()> {
    let run_dir = &side.config.run_dir;
    let written = run_dir.join("config.toml");
    if written.exists() {
        let changed = changed_settings(&written, &side.config)?;
        if !changed.is_empty() {
            bail!(
                "{}: the run was made with {}; remove it, or name another --out",
                run_dir.display(),
                changed.join(", ")
            );
        }
    }
    if Model::load(Some(&side.model_dir()), &side.config.training.device()?).is_ok() {
        return Ok(());
    }
    let mut inner: Box<dyn Progress> = if progress::are_bars_seen() {
        Box::new(Bar::new())
    } else {
        Box::new(LogProgress::new(Duration::from_secs(60)))
    };
    let mut progress = Labelled { label, inner: inner.as_mut() };
    progress.message(&format!("{} steps", side.steps));
    let begin = RunStart { resume: Some(Resume::Auto), ..RunStart::default() };
    stride_train::train(&side.config, &begin, &mut progress, stop)?;
    stop_here(stop)
}

/// Fails if the user asked to stop; what is done stays.
pub(super) fn stop_here(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        bail!("interrupted; the same command goes on from here");
    }
    Ok(())
}

/// Puts the name of the side before its messages.
struct Labelled<'a> {
    label: &'a str,
    inner: &'a mut dyn Progress,
}

impl Progress for Labelled<'_> {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        self.inner.step(update);
    }

    fn message(&mut self, text: &str) {
        self.inner.message(&format!("[{}] {text}", self.label));
    }
}
