//! The record of a run: averages over some steps, one JSON object per line in `metrics.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};
use stride_files::write_whole;

use super::checkpoint::TrainerState;
use super::loss_map::RowLoss;
use super::progress::ProgressUpdate;
use crate::TrainError;

/// The record's file in the run folder.
pub(super) const METRICS: &str = "metrics.jsonl";

/// What every line has but those of reports.
const LR_FACTOR: &str = "lr_factor";

/// An open `metrics.jsonl`.
#[derive(Debug)]
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the record of a run folder for appending.
    ///
    /// Lines of steps after `step` are dropped first: a run that resumes at `step` makes them again. So is a report at
    /// `step` where the run has come to its end (`is_over`), at which it reports.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn open(run_dir: &Path, step: u64, is_over: bool) -> Result<Self, TrainError> {
        let path = run_dir.join(METRICS);
        if path.exists() {
            let bytes = stride_files::read_file(&path).map_err(TrainError::io(&path))?;
            // A line that is broken is dropped.
            let text = String::from_utf8_lossy(&bytes);
            let is_before = |line: &&str| {
                let line: Option<Value> = serde_json::from_str(line).ok();
                line.is_some_and(|line| {
                    let is_report = line[LR_FACTOR].is_null();
                    let at = line["step"].as_u64();
                    at.is_some_and(|at| at < step || at == step && !(is_over && is_report))
                })
            };
            let kept: String =
                text.lines().filter(is_before).flat_map(|line| [line, "\n"]).collect();
            if kept != text {
                write_whole(&path, kept.as_bytes())?;
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(TrainError::io(&path))?;
        Ok(Self { path, file })
    }

    /// Appends one line: `step`, `seconds` and the named values.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(
        &mut self,
        step: u64,
        seconds: f64,
        values: impl IntoIterator<Item = (String, f64)>,
    ) -> Result<(), TrainError> {
        let mut line = Map::from_iter([
            ("step".to_owned(), json!(step)),
            ("seconds".to_owned(), json!(seconds)),
        ]);
        line.extend(values.into_iter().map(|(name, value)| (name, json!(value))));
        writeln!(self.file, "{}", Value::Object(line)).map_err(TrainError::io(&self.path))
    }
}

/// The numbers of one step: loss first, then its parts and the gradient norm.
pub(super) struct StepValues {
    pub(super) losses: Vec<(&'static str, f64)>,
    pub(super) rows: usize,
    /// Why the step was left out, if it was.
    pub(super) skipped: Option<String>,
    /// Norms by part, where they were asked for.
    pub(super) norms: Vec<(String, f64)>,
    /// Losses by time and step size.
    pub(super) row_losses: Vec<RowLoss>,
}

/// Seconds of the run, over resumes.
pub(super) struct Clock {
    pub(super) start: Instant,
    pub(super) before: f64,
    pub(super) first_step: u64,
}

impl Clock {
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

/// Averages between two lines of the record, and the speed.
#[derive(Default)]
pub(super) struct Averages {
    latest: Vec<(&'static str, f64)>,
    sums: Vec<(&'static str, f64, u32)>,
    rows: usize,
    skipped: u32,
    since: Option<Instant>,
    last_speed: f64,
}

impl Averages {
    pub(super) fn add(&mut self, values: StepValues) {
        // What is not finite would be all that the average shows.
        let losses = values.losses.iter().filter(|_| values.skipped.is_none());
        self.skipped += u32::from(values.skipped.is_some());
        for &(name, value) in losses {
            match self.sums.iter_mut().find(|(other, ..)| *other == name) {
                Some((_, sum, count)) => {
                    *sum += value;
                    *count += 1;
                }
                None => self.sums.push((name, value, 1)),
            }
        }
        if self.since.is_some() {
            self.rows += values.rows;
        } else {
            // The first step warms up; the speed is measured from its end.
            self.since = Some(Instant::now());
        }
        self.latest = values.losses;
    }

    fn speed(&self) -> f64 {
        let seconds = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        if self.rows > 0 && seconds > 0.0 { self.rows as f64 / seconds } else { self.last_speed }
    }

    pub(super) fn progress<'a>(
        &'a self,
        at: &TrainerState,
        max_steps: u64,
        max_seconds: Option<f64>,
        clock: &Clock,
    ) -> ProgressUpdate<'a> {
        let per_step =
            (at.elapsed_seconds - clock.before) / (at.step - clock.first_step).max(1) as f64;
        let by_steps = per_step * max_steps.saturating_sub(at.step) as f64;
        let by_time = max_seconds.map_or(f64::INFINITY, |max| max - at.elapsed_seconds);
        ProgressUpdate {
            step: at.step,
            max_steps,
            losses: &self.latest,
            rows_per_second: self.speed(),
            seconds_left: by_steps.min(by_time).max(0.0),
        }
    }

    pub(super) fn take(&mut self, lr_factor: f64) -> Vec<(String, f64)> {
        self.last_speed = self.speed();
        let mut values: Vec<(String, f64)> = self
            .sums
            .drain(..)
            .map(|(name, sum, count)| (name.to_owned(), sum / f64::from(count)))
            .collect();
        values.push((LR_FACTOR.to_owned(), lr_factor));
        values.push(("rows_per_second".to_owned(), self.last_speed));
        if self.skipped > 0 {
            values.push(("skipped_steps".to_owned(), f64::from(self.skipped)));
        }
        self.skipped = 0;
        (self.rows, self.since) = (0, Some(Instant::now()));
        values
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_past_the_resumed_step_are_dropped() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut metrics = Metrics::open(dir.path(), 0, false).expect("writable");
        for step in [10, 20, 30] {
            let values = [("loss", 0.25), (LR_FACTOR, 1.0)];
            let values = values.map(|(name, value)| (name.to_owned(), value));
            metrics.write(step, 1.5, values).expect("writable");
        }
        metrics.write(20, 1.5, [("held_out_error".to_owned(), 0.5)]).expect("writable");
        let mut metrics = Metrics::open(dir.path(), 20, false).expect("writable");
        metrics.write(25, 2.0, []).expect("writable");
        let text = fs::read_to_string(dir.path().join("metrics.jsonl")).expect("readable");
        let steps: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["step"].as_u64())
            .collect();
        assert_eq!(steps, [Some(10), Some(20), Some(20), Some(25)]);
        assert!(text.contains("\"loss\":0.25"));
        // At its end a run reports; going on from there, it does so again.
        Metrics::open(dir.path(), 20, true).expect("writable");
        let text = fs::read_to_string(dir.path().join("metrics.jsonl")).expect("readable");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("held_out_error"), "{text}");
    }
}
