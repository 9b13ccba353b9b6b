//! The record of a run: one JSON object per line in `metrics.jsonl`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::TrainError;

/// An open `metrics.jsonl`.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the record of a run folder for appending.
    ///
    /// Lines of steps after `step` are dropped first: a run that resumes at `step` makes them again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(run_dir: &Path, step: u64) -> Result<Self, TrainError> {
        let path = run_dir.join("metrics.jsonl");
        if let Ok(text) = fs::read_to_string(&path) {
            let is_before = |line: &&str| {
                let line: Option<Value> = serde_json::from_str(line).ok();
                line.and_then(|line| line["step"].as_u64()).is_some_and(|at| at <= step)
            };
            let kept: String =
                text.lines().filter(is_before).flat_map(|line| [line, "\n"]).collect();
            if kept != text {
                let temporary = run_dir.join(".tmp-metrics.jsonl");
                fs::write(&temporary, kept).map_err(TrainError::io(&temporary))?;
                fs::rename(&temporary, &path).map_err(TrainError::io(&path))?;
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
    pub fn write(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_resumed_step_are_dropped() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut metrics = Metrics::open(dir.path(), 0).expect("writable");
        for step in [10, 20, 30] {
            metrics.write(step, 1.5, [("loss".to_owned(), 0.25)]).expect("writable");
        }
        let mut metrics = Metrics::open(dir.path(), 20).expect("writable");
        metrics.write(25, 2.0, []).expect("writable");
        let text = fs::read_to_string(dir.path().join("metrics.jsonl")).expect("readable");
        let steps: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["step"].as_u64())
            .collect();
        assert_eq!(steps, [Some(10), Some(20), Some(25)]);
        assert!(text.contains("\"loss\":0.25"));
    }
}
