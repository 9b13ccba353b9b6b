//! Trains one side, or finds that it is trained.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use stride_models::Model;
use stride_train::{Checkpoint, LogProgress, Progress, ProgressUpdate, Resume};

use super::plan::Side;
use crate::commands::train::Bar;

/// Trains a side up to its steps, from its latest checkpoint if there is one.
pub(super) fn train(side: &Side, label: &str, stop: &AtomicBool) -> Result<()> {
    let run_dir = &side.config.run_dir;
    let written = run_dir.join("config.toml");
    if written.exists() {
        let found = fs::read_to_string(&written)
            .with_context(|| format!("cannot read {}", written.display()))?;
        if found != side.config.to_toml()? {
            bail!(
                "{}: the run was made with other settings; remove it, or name another --out",
                run_dir.display()
            );
        }
    }
    if Model::load(Some(&side.model_dir()), &Device::flex()).is_ok() {
        return Ok(());
    }
    let resume = Checkpoint::open(run_dir, &Resume::Latest).is_ok().then_some(Resume::Latest);
    let mut inner: Box<dyn Progress> = if stderr().is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::new(LogProgress::new(Duration::from_secs(60)))
    };
    let mut progress = Labelled { label, inner: inner.as_mut() };
    progress.message(&format!("{} steps", side.steps));
    stride_train::train(&side.config, resume.as_ref(), &mut progress, stop)?;
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
