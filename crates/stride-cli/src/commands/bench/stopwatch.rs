//! Repeated measurements and what is told of them.

use std::time::{Duration, Instant};

use anyhow::Result;

/// When a row has been measured often enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Repetitions after the warm-up.
    pub(super) reps: usize,
    /// No repetition begins after this time.
    pub(super) time: Duration,
}

/// Shortest and middle of some times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timing {
    pub(super) reps: usize,
    pub(super) min: f64,
    pub(super) median: f64,
}

/// Runs `work` once to warm up, then until a limit is reached, at least once, and returns what
/// the runs after the warm-up gave.
///
/// A first run that alone takes up the row's time is not repeated; it counts.
pub(super) fn repeat<T>(limits: Limits, mut work: impl FnMut() -> Result<T>) -> Result<Vec<T>> {
    let start = Instant::now();
    let first = work()?;
    if start.elapsed() >= limits.time {
        return Ok(vec![first]);
    }
    let mut results = vec![work()?];
    while results.len() < limits.reps && start.elapsed() < limits.time {
        results.push(work()?);
    }
    Ok(results)
}

/// The seconds that `work` takes.
pub(super) fn seconds<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    // The result is dropped after the clock is read.
    let result = work()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    Ok(seconds)
}

impl Timing {
    /// Of at least one time; the middle of an even number is the mean of the two inner ones.
    pub(super) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let reps = times.len();
        let median = (times[(reps - 1) / 2] + times[reps / 2]) / 2.0;
        Self { reps, min: times[0], median }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let timing = |times: &[f64]| Timing::of(times.to_vec());
        assert_eq!(timing(&[3.0, 1.0, 2.0]), Timing { reps: 3, min: 1.0, median: 2.0 });
        assert_eq!(timing(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(timing(&[7.0]), Timing { reps: 1, min: 7.0, median: 7.0 });
    }

    #[test]
    fn the_first_run_warms_up_unless_it_is_long() {
        let runs = |limits| {
            let mut run = 0;
            let next = || {
                run += 1;
                Ok(run)
            };
            repeat(limits, next).expect("no error")
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(runs(Limits { reps: 3, time: hour }), [2, 3, 4]);
        assert_eq!(runs(Limits { reps: 3, time: Duration::ZERO }), [1]);
    }
}
