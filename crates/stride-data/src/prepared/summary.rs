//! How far a preparation is, and what it did.

use std::fmt;
use std::path::PathBuf;

use crate::Problem;

/// How far a preparation is.
#[derive(Clone, Copy, Debug)]
pub struct PrepareProgress {
    /// Images seen to.
    pub done: usize,
    /// Images in all.
    pub total: usize,
    /// Estimate of the seconds left, once images are being encoded.
    pub seconds_left: Option<f64>,
}

/// What a preparation did.
#[derive(Clone, Debug, Default)]
pub struct PrepareSummary {
    /// Images in the folder.
    pub images: usize,
    /// Of these, with latents that were there already.
    pub reused: usize,
    /// Of these, encoded for the first time.
    pub made: usize,
    /// Of these, encoded again since something they are made from has changed.
    pub remade: usize,
    /// Images that were in the folder and are not any more.
    pub dropped: usize,
    /// Images whose captions have changed.
    pub recaptioned: usize,
    /// Images without a caption of their own.
    pub without_caption: usize,
    /// Files of the folder that were not whole, and were made again.
    pub damaged: Vec<PathBuf>,
    /// Images that are left out, and why.
    pub problems: Vec<Problem>,
    /// Whether it was stopped before the end; the same call goes on from there.
    pub was_stopped: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// Of these, seconds in the encoder.
    pub encoder_seconds: f64,
    /// The most bytes of pixels and latents held at once, decoding itself left aside.
    pub peak_bytes: usize,
}

impl PrepareSummary {
    /// Whether the folder is another than before.
    pub fn has_changes(&self) -> bool {
        self.encoded() + self.dropped + self.recaptioned > 0
    }

    /// Images that were encoded.
    pub fn encoded(&self) -> usize {
        self.made + self.remade
    }

    /// Images encoded in a second of the whole time.
    pub fn images_per_second(&self) -> f64 {
        self.encoded() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Share of the time that was spent outside the encoder, in [0, 1].
    pub fn share_outside_encoder(&self) -> f64 {
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
            let outside = 100.0 * self.share_outside_encoder();
            let rate = self.images_per_second();
            write!(f, "; {rate:.1} images/s, {outside:.0} % of the time outside the encoder")?;
        }
        Ok(())
    }
}
