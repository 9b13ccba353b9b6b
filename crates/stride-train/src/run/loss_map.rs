//! Losses by time and step size.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use stride_files::write_whole;

use crate::TrainError;

/// The file in the run folder, one line for every cell with rows in it, at every report.
pub(super) const LOSS_MAP: &str = "loss_map.csv";
const HEADER: &str = "step,log2_steps,t,rows,loss\n";
/// Intervals of the time in [0, 1).
const TIMES: usize = 10;
/// Levels k of the step size d = 2^-k.
const LEVELS: usize = 8;

/// The loss of a row at a time and step size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss {
    /// The time t in [0, 1].
    pub t: f64,
    /// The level k = -log2 d, a real number in [0, 7].
    pub log2_steps: f64,
    /// The loss.
    pub loss: f64,
}

/// Means since the last report, by level, rounded, and by tenth of the time.
#[derive(Debug)]
pub(super) struct LossMap {
    path: PathBuf,
    /// Number and sum.
    cells: [[(u64, f64); TIMES]; LEVELS],
}

impl LossMap {
    /// The map of a run folder; lines of later steps than `step` are dropped, and so are those of `step` itself where the
    /// run reports there again (`is_over`).
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(run_dir: &Path, step: u64, is_over: bool) -> Result<Self, TrainError> {
        let path = run_dir.join(LOSS_MAP);
        if path.exists() {
            let bytes = stride_files::read_file(&path).map_err(TrainError::io(&path))?;
            // A line that is broken is dropped.
            let text = String::from_utf8_lossy(&bytes);
            let is_before = |line: &&str| {
                let at = line.split(',').next().and_then(|at| at.parse::<u64>().ok());
                at.is_some_and(|at| at < step || at == step && !is_over)
            };
            let kept = text.lines().filter(is_before).flat_map(|line| [line, "\n"]);
            let kept: String = std::iter::once(HEADER).chain(kept).collect();
            if kept != text {
                write_whole(&path, kept.as_bytes())?;
            }
        }
        Ok(Self { path, cells: Default::default() })
    }

    pub(super) fn add(&mut self, rows: &[RowLoss]) {
        for row in rows {
            let level = row.log2_steps.round().clamp(0.0, (LEVELS - 1) as f64) as usize;
            let time = ((row.t * TIMES as f64) as usize).min(TIMES - 1);
            let (count, sum) = &mut self.cells[level][time];
            *count += 1;
            *sum += row.loss;
        }
    }

    /// Appends the means, and begins new ones; nothing where the task has no times.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, step: u64) -> Result<(), TrainError> {
        let mut lines = String::new();
        for (level, times) in self.cells.iter().enumerate() {
            for (time, &(count, sum)) in times.iter().enumerate().filter(|(_, cell)| cell.0 > 0) {
                let t = (time as f64 + 0.5) / TIMES as f64;
                let mean = sum / count as f64;
                writeln!(lines, "{step},{level},{t},{count},{mean}").expect("a string grows");
            }
        }
        self.cells = Default::default();
        if lines.is_empty() {
            return Ok(());
        }
        if !self.path.exists() {
            lines.insert_str(0, HEADER);
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(TrainError::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rows_fall_into_cells_and_later_ones_are_dropped() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut map = LossMap::open(dir.path(), 0, false).expect("writable");
        let row = |t, log2_steps, loss| RowLoss { t, log2_steps, loss };
        map.add(&[row(0.0, 0.4, 1.0), row(0.09, 0.0, 3.0), row(1.0, 7.0, 5.0)]);
        map.write(10).expect("writable");
        map.write(11).expect("writable");
        map.add(&[row(0.55, 6.6, 0.25)]);
        map.write(20).expect("writable");
        let path = dir.path().join(LOSS_MAP);
        let read = || fs::read_to_string(&path).expect("written");
        let first = format!("{HEADER}10,0,0.05,2,2\n10,7,0.95,1,5\n");
        assert_eq!(read(), format!("{first}20,7,0.55,1,0.25\n"));
        LossMap::open(dir.path(), 20, false).expect("writable");
        assert!(read().len() > first.len());
        LossMap::open(dir.path(), 20, true).expect("writable");
        assert_eq!(read(), first);
    }
}
