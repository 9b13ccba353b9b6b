//! Progress and result of a preparation.

use std::fmt;
use std::path::PathBuf;

use crate::Problem;

/// Progress of a preparation.
#[derive(Clone, Copy, Debug)]
pub struct PrepareProgress {
    /// Images done.
    pub done: usize,
    /// Images in all.
    pub total: usize,
    /// Estimated seconds left, once images are being encoded.
    pub seconds_left: Option<f64>,
}

/// Result of a preparation.
#[derive(Clone, Debug, Default)]
pub struct PrepareSummary {
    /// Images in the folder.
    pub images: usize,
    /// Of these, those whose latents existed already.
    pub reused: usize,
    /// Of these, those encoded for the first time.
    pub made: usize,
    /// Of these, those encoded again because their inputs changed.
    pub remade: usize,
    /// Images that are no longer in the folder.
    pub dropped: usize,
    /// Images whose captions have changed.
    pub recaptioned: usize,
    /// Images without a caption of their own.
    pub without_caption: usize,
    /// Damaged files that were replaced.
    pub damaged: Vec<PathBuf>,
    /// Images that were left out, and why.
    pub problems: Vec<Problem>,
    /// Whether it was stopped before the end; the same call continues from there.
    pub was_stopped: bool,
    /// Total time in seconds.
    pub seconds: f64,
    /// Time in the encoder in seconds.
    pub encoder_seconds: f64,
    /// Peak bytes of pixels and latents held at once, without what decoding itself takes.
    pub peak_bytes: usize,
}

impl PrepareSummary {
    /// Images that were encoded.
    pub fn encoded(&self) -> usize {
        self.made + self.remade
    }

    /// Images encoded per second of the total time.
    pub fn images_per_second(&self) -> f64 {
        self.encoded() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Fraction of the time spent outside the encoder, in [0, 1].
    pub fn fraction_outside_encoder(&self) -> f64 {
        (1.0 - self.encoder_seconds / self.seconds.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }
}

impl fmt::Display for PrepareProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} images", self.done, self.total)?;
        match self.seconds_left.map(|seconds| seconds as u64) {
            Some(left) => write!(f, "  {}:{:02} left", left / 60, left % 60),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PrepareSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, reused, made, remade, dropped, recaptioned, .. } = self;
        write!(
            f,
            "{images} images: {reused} reused, {made} made, {remade} made again, {dropped} dropped; \
             new captions for {recaptioned}"
        )?;
        for (count, what) in [
            (self.without_caption, "without a caption"),
            (self.problems.len(), "left out"),
            (self.damaged.len(), "damaged files"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.encoded() > 0 {
            let outside = 100.0 * self.fraction_outside_encoder();
            let rate = self.images_per_second();
            write!(f, "; {rate:.1} images/s, {outside:.0} % of the time outside the encoder")?;
        }
        Ok(())
    }
}
