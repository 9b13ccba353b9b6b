//! What the engine expects, for those who ask from other threads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Expected times, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    backlog: Microseconds,
    step: Microseconds,
    decode: Microseconds,
}

#[derive(Debug, Default)]
struct Microseconds(AtomicU64);

impl Microseconds {
    fn set(&self, seconds: f64) {
        // A conversion to integers cuts off what lies outside.
        self.0.store((seconds * 1e6) as u64, Ordering::Relaxed);
    }

    fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }
}

impl Outlook {
    /// Takes the time of everything that waits, of a step alone, and of decoding an image.
    pub(super) fn set(&self, backlog: f64, step: f64, decode: f64) {
        self.backlog.set(backlog);
        self.step.set(step);
        self.decode.set(decode);
    }

    /// Until everything that was accepted is done.
    pub(crate) fn backlog(&self) -> f64 {
        self.backlog.seconds()
    }

    /// Of a step of one image alone.
    pub(crate) fn step(&self) -> f64 {
        self.step.seconds()
    }

    /// Of decoding an image.
    pub(crate) fn decode(&self) -> f64 {
        self.decode.seconds()
    }
}
