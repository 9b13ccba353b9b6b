//! What steps and decoding cost on this machine, and how many rows are worth a pass.

/// The most rows of a pass; what larger ones gain on any device that was measured is below a percent or two.
pub(super) const MAX_ROWS: usize = 32;
/// The weight of a new measurement that is longer than what is known, and of one that is shorter: what disturbs a measurement
/// makes it longer.
const RATES: [f64; 2] = [0.1, 0.5];
/// One pass in so many has twice the rows.
const TRY_EVERY: u32 = 16;
/// A batch that takes less than this share of another's time for each row is better.
const GAIN: f64 = 0.98;

/// Measured times, in seconds.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// Of a step with 2^k rows.
    steps: [Option<f64>; MAX_ROWS.ilog2() as usize + 1],
    decode: Option<f64>,
    passes: u32,
}

impl Costs {
    /// Takes the time of a step; that of a number of rows between powers of two is passed over.
    pub(super) fn record_step(&mut self, rows: usize, seconds: f64) {
        if rows.is_power_of_two() && rows <= MAX_ROWS {
            average(&mut self.steps[rows.ilog2() as usize], seconds);
        }
    }

    /// Takes the time of a decoded image.
    pub(super) fn record_decode(&mut self, seconds: f64) {
        average(&mut self.decode, seconds);
    }

    /// Rows of a pass: as many as make each of them cheaper, as long as a step takes no longer than it takes to draw an
    /// image of one step alone, which is how long such an image may have to wait for it.
    pub(super) fn rows(&self) -> usize {
        let (Some(step), decode) = (self.steps[0], self.decode()) else { return 1 };
        let (mut best, mut best_cost) = (1, step);
        for (log2, seconds) in self.steps.iter().enumerate() {
            let (rows, Some(seconds)) = (1 << log2, *seconds) else { continue };
            let cost = seconds / rows as f64;
            if cost < GAIN * best_cost && seconds <= step + decode {
                (best, best_cost) = (rows, cost);
            }
        }
        best
    }

    /// The rows of the next pass: as [`rows`](Self::rows) says, and now and then twice as many, so that what was measured while
    /// other programs ran does not hold for ever.
    pub(super) fn rows_of_next_pass(&mut self) -> usize {
        self.passes = self.passes.wrapping_add(1);
        let factor = if self.passes.is_multiple_of(TRY_EVERY) { 2 } else { 1 };
        (factor * self.rows()).min(MAX_ROWS)
    }

    /// The time of a step of one row.
    pub(super) fn step(&self) -> f64 {
        self.steps[0].unwrap_or(0.0)
    }

    /// The time of decoding an image.
    pub(super) fn decode(&self) -> f64 {
        self.decode.unwrap_or(0.0)
    }

    /// The time of so many rows in passes of the best size, and of so many images to be decoded.
    pub(super) fn seconds(&self, rows: usize, decodes: usize) -> f64 {
        let best = self.rows();
        let step = self.steps[best.ilog2() as usize].unwrap_or(0.0);
        rows as f64 * step / best as f64 + decodes as f64 * self.decode()
    }

    /// Whether a larger batch than this is not worth a measurement.
    pub(super) fn is_beyond(&self, seconds: f64) -> bool {
        self.steps[0].is_some_and(|step| seconds > step + self.decode())
    }
}

fn average(time: &mut Option<f64>, seconds: f64) {
    let next = |old: f64| old + RATES[usize::from(seconds < old)] * (seconds - old);
    *time = Some(time.map_or(seconds, next));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(step: impl Fn(f64) -> f64, decode: f64) -> Costs {
        let mut costs = Costs::default();
        for rows in 1..=MAX_ROWS {
            costs.record_step(rows, step(rows as f64));
        }
        costs.record_decode(decode);
        costs
    }

    #[test]
    fn batches_are_as_large_as_they_pay_and_as_short_as_an_image() {
        // A device that does one row as quickly as many, and one that gains nothing.
        assert_eq!(costs(|_| 0.01, 0.001).rows(), MAX_ROWS);
        assert_eq!(costs(|rows| 0.01 * rows, 1.0).rows(), 1);
        // Part of a step is the same for any number of rows; it must not last longer than a step and a decoder.
        assert_eq!(costs(|rows| 0.001 + 0.001 * rows, 0.0075).rows(), 8);
        assert_eq!(costs(|rows| 0.001 + 0.001 * rows, 0.0).rows(), 1);
        assert_eq!(Costs::default().rows(), 1);
    }

    #[test]
    fn a_measurement_on_a_busy_machine_does_not_stay() {
        let step = |rows: usize| 0.001 + 0.0005 * rows as f64;
        // While others ran, a row took as long in a batch as alone, and larger ones were not even measured.
        let mut costs = Costs::default();
        costs.record_step(1, 0.01);
        costs.record_step(2, 0.02);
        costs.record_decode(0.008);
        assert_eq!(costs.rows(), 1);
        for _ in 0..100 * TRY_EVERY {
            let rows = costs.rows_of_next_pass();
            costs.record_step(rows, step(rows));
        }
        assert_eq!(costs.rows(), 16, "which takes no longer than a step and a decoder");
    }

    #[test]
    fn time_is_that_of_the_best_batch() {
        let costs = costs(|rows| 0.001 + 0.001 * rows, 0.0075);
        assert!((costs.seconds(80, 2) - (10.0 * 0.009 + 0.015)).abs() < 1e-9);
        assert_eq!(Costs::default().seconds(80, 2), 0.0);
    }
}
