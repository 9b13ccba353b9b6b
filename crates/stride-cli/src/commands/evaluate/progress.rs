//! How far an evaluation is: a bar on a terminal, lines in a log elsewhere.

use std::time::{Duration, Instant};

use stride_eval::evaluator::EvaluationProgress;

use crate::progress;

/// Time between lines where nobody watches a bar.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// Shows how far an evaluation is.
pub(super) struct ProgressBar {
    bar: indicatif::ProgressBar,
    start: Instant,
    logged: Instant,
}

impl ProgressBar {
    /// A bar on stderr where that is a terminal.
    pub(super) fn new(what: &str) -> Self {
        let bar = progress::bar(0, "{msg} {bar:30} {percent}%  {eta} left");
        bar.set_message(what.to_owned());
        Self { bar, start: Instant::now(), logged: Instant::now() }
    }

    /// Shows the state of an evaluation.
    pub(super) fn update(&mut self, at: EvaluationProgress<'_>) {
        let EvaluationProgress { set, images, done, total } = at;
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.bar.set_message(set.to_owned());
        if self.bar.is_hidden() && self.logged.elapsed() > LOG_INTERVAL && done > 0 {
            let left = self.start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
            tracing::info!(
                "{set}: {images} images; {} % of all, about {:.0} minutes left",
                100 * done / total.max(1),
                (left / 60.0).ceil()
            );
            self.logged = Instant::now();
        }
    }

    /// Moves a bar of `total` images on.
    pub(super) fn advance(&self, total: usize, images: usize) {
        self.bar.set_length(total as u64);
        self.bar.inc(images as u64);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
