//! How far a preparation is, and what it did.

use std::fmt;
use std::path::PathBuf;

use crate::Problem;

/// How far a preparation is.
#[derive(Clone, Copy, Debug)]
pub struct PrepareProgress {
    /// Pictures seen to.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
    /// Estimate of the seconds left, once pictures are being encoded.
    pub seconds_left: Option<f64>,
}

/// What a preparation did.
#[derive(Clone, Debug, Default)]
pub struct PrepareSummary {
    /// Pictures in the folder.
    pub pictures: usize,
    /// Of these, with latents that were there already.
    pub reused: usize,
    /// Of these, encoded for the first time.
    pub made: usize,
    /// Of these, encoded again since something they are made from has changed.
    pub remade: usize,
    /// Pictures that were in the folder and are not any more.
    pub dropped: usize,
    /// Pictures whose captions have changed.
    pub recaptioned: usize,
    /// Pictures without a caption of their own.
    pub without_caption: usize,
    /// Files of the folder that were not whole, and were made again.
    pub damaged: Vec<PathBuf>,
    /// Pictures that are left out, and why.
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

    /// Pictures that were encoded.
    pub fn encoded(&self) -> usize {
        self.made + self.remade
    }

    /// Pictures encoded in a second of the whole time.
    pub fn pictures_per_second(&self) -> f64 {
        self.encoded() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Share of the time that was spent outside the encoder, in [0, 1].
    pub fn share_outside_encoder(&self) -> f64 {
        (1.0 - self.encoder_seconds / self.seconds.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }
}

impl fmt::Display for PrepareProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} pictures", self.done, self.total)?;
        match self.seconds_left.map(|seconds| seconds as u64) {
            Some(left) => write!(f, "  {}:{:02} left", left / 60, left % 60),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PrepareSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pictures, reused, made, remade, dropped, recaptioned, .. } = self;
        write!(
            f,
            "{pictures} pictures: {reused} reused, {made} made, {remade} made again, {dropped} dropped; \
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
            let rate = self.pictures_per_second();
            write!(f, "; {rate:.1} pictures/s, {outside:.0} % of the time outside the encoder")?;
        }
        Ok(())
    }
}
