//! How a run tells the outside what it does.

use std::time::{Duration, Instant};

/// Observes a run; the command line draws a bar, a log writes a line now and then.
pub trait Progress {
    /// A step is done.
    fn step(&mut self, update: &ProgressUpdate<'_>);

    /// Something worth a line happened: the run began, a checkpoint or report was written.
    fn message(&mut self, text: &str);
}

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct ProgressUpdate<'a> {
    /// Steps made.
    pub step: u64,
    /// Steps of the whole run.
    pub max_steps: u64,
    /// Loss first, then its parts, of the latest step.
    pub losses: &'a [(&'static str, f64)],
    /// Training rows per second, averaged over the last steps.
    pub rows_per_second: f64,
    /// Estimate of the seconds left.
    pub seconds_left: f64,
}

impl ProgressUpdate<'_> {
    /// The fraction of the steps that are made, in [0, 1].
    pub fn fraction(&self) -> f64 {
        self.step as f64 / self.max_steps as f64
    }
}

/// Writes progress to the log: messages at once, steps at most once per interval.
#[derive(Debug)]
pub struct LogProgress {
    interval: Duration,
    last: Option<Instant>,
}

impl LogProgress {
    /// A log with a line at most every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: None }
    }
}

impl Progress for LogProgress {
    fn step(&mut self, update: &ProgressUpdate<'_>) {
        if self.last.is_some_and(|last| last.elapsed() < self.interval) {
            return;
        }
        self.last = Some(Instant::now());
        tracing::info!("{update}");
    }

    fn message(&mut self, text: &str) {
        tracing::info!("{text}");
    }
}

impl std::fmt::Display for ProgressUpdate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {} ({:.1}%)", self.step, self.fraction() * 100.0)?;
        for (name, value) in self.losses {
            write!(f, "  {name} {value:.4}")?;
        }
        let left = self.seconds_left as u64;
        write!(f, "  {:.1} rows/s  {}:{:02} left", self.rows_per_second, left / 60, left % 60)
    }
}
