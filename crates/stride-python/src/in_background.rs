//! Long work on a thread of its own, while the one of Python listens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use stride_eval::EvalError;

use crate::error::{unusable, wrong_value};

/// How often Python is asked for signals.
const INTERVAL: Duration = Duration::from_millis(50);

/// What work tells of itself: what is done, and which fraction of all.
pub(crate) type Report = (String, f64);

/// The other side of work: where it tells how far it is, and learns whether to stop.
pub(crate) struct Line {
    reports: Sender<Report>,
    stop: AtomicBool,
}

impl Line {
    /// Whether to stop.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// An error where the work is to stop.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        if self.stop.load(Ordering::Relaxed) { Err(EvalError::Interrupted) } else { Ok(()) }
    }

    /// Tells how far the work is.
    pub(crate) fn tell(&self, what: &str, fraction: f64) {
        // Nobody listens any more after an error, and then the work is to stop.
        let _ = self.reports.send((what.to_owned(), fraction));
    }
}

/// Runs `work` with the lock of the interpreter free, and calls `callback(what, fraction)` with its reports. What the
/// callback raises, and Ctrl-C, stop the work and are raised when it has stopped.
pub(crate) fn run<R: Send>(
    py: Python<'_>,
    callback: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Line) -> Result<R, EvalError> + Send,
) -> PyResult<R> {
    let (reports, received) = channel();
    let line = Line { reports, stop: AtomicBool::new(false) };
    let received = std::sync::Mutex::new(received);
    let mut raised: PyResult<()> = Ok(());
    let result = thread::scope(|scope| {
        let worker = scope.spawn(|| work(&line));
        loop {
            // Asked first, so that all that it has told by then is received before the end.
            let is_finished = worker.is_finished();
            let report = py.detach(|| {
                let received = received.lock().expect("nobody else holds it");
                received.recv_timeout(if is_finished { Duration::ZERO } else { INTERVAL })
            });
            let listen = || {
                py.check_signals()?;
                if let (Ok(report), Some(callback)) = (&report, callback) {
                    callback.call1(report.clone())?;
                }
                Ok(())
            };
            if raised.is_ok() {
                raised = listen();
                line.stop.store(raised.is_err(), Ordering::Relaxed);
            }
            if is_finished && report.is_err() {
                break;
            }
        }
        worker.join()
    });
    raised?;
    match result {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error @ (EvalError::TooFew { .. } | EvalError::Width { .. }))) => {
            Err(wrong_value(error))
        }
        Ok(Err(error)) => Err(unusable(error)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
