//! The scale of an axis: which values it spans, where they lie, and where its ticks are.

/// Ratio of the largest to the smallest value from which an axis is logarithmic.
const LOGARITHMIC_FROM: f64 = 8.0;
/// Decades of a logarithmic axis that leave room for ticks between powers of ten.
const FEW_DECADES: f64 = 3.0;
/// Ticks at powers of ten, at most.
const MOST_DECADES: usize = 8;

/// A range of values, and the pixels that it covers.
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// Pixels of `low` and of `high`.
    pixels: [f64; 2],
    pub(super) is_log: bool,
}

impl Scale {
    /// A scale from the smallest to the largest value.
    pub(super) fn tight(values: impl Iterator<Item = f64> + Clone, pixels: [f64; 2]) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        Self { low, high, pixels, is_log: false }
    }

    /// A scale with a margin around the values, logarithmic where they span a wide range.
    pub(super) fn roomy(values: impl Iterator<Item = f64> + Clone, pixels: [f64; 2]) -> Self {
        let Self { low, high, .. } = Self::tight(values, pixels);
        if low > 0.0 && high > LOGARITHMIC_FROM * low {
            return Self { low: low / 1.15, high: high * 1.15, pixels, is_log: true };
        }
        let margin = ((high - low) * 0.08).max(high.abs() * 0.02).max(1e-9);
        // Small non-negative values read best from zero.
        let low = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low - margin };
        Self { low, high: high + margin, pixels, is_log: false }
    }

    /// The pixel of a value.
    pub(super) fn place(&self, value: f64) -> f64 {
        let f = |v: f64| if self.is_log { v.ln() } else { v };
        let range = f(self.high) - f(self.low);
        // A single value lies in the middle.
        let fraction = if range > 0.0 { (f(value) - f(self.low)) / range } else { 0.5 };
        self.pixels[0] + fraction * (self.pixels[1] - self.pixels[0])
    }

    /// Round values inside the range.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.is_log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        if self.low >= self.high {
            return vec![self.low];
        }
        let rough = (self.high - self.low) / 6.0;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * unit).into_iter().find(|&s| s >= rough);
        let step = step.unwrap_or(unit);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let [first, last] = [self.low.log10().floor() as i32, self.high.log10().ceil() as i32];
        let is_narrow = (self.high / self.low).log10() < FEW_DECADES;
        let multiples: &[f64] = if is_narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = if is_narrow { 1 } else { (last - first) as usize / MOST_DECADES + 1 };
        let decades = (first..=last).step_by(every);
        let all = decades.flat_map(|decade| multiples.iter().map(move |m| m * 10f64.powi(decade)));
        all.filter(|value| (self.low..=self.high).contains(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: [f64; 2] = [210.0, 14.0];

    fn roomy(values: &[f64]) -> Scale {
        Scale::roomy(values.iter().copied(), PIXELS)
    }

    #[test]
    fn scales_hold_their_values_and_have_round_ticks() {
        for values in [
            vec![0.1, 0.2, 0.9],
            vec![0.01, 30.0],
            vec![1e-60, 1e40],
            vec![5.0, 5.0],
            vec![-2.0, 3.0],
            vec![0.0],
        ] {
            let scale = roomy(&values);
            for &value in &values {
                let y = scale.place(value);
                assert!((PIXELS[1]..=PIXELS[0]).contains(&y), "{values:?}: {value} at {y}");
            }
            let ticks = scale.ticks();
            assert!((1..=14).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
        assert!(roomy(&[0.01, 30.0]).is_log && !roomy(&[1.0, 2.0]).is_log);
    }

    #[test]
    fn a_single_value_lies_in_the_middle() {
        let scale = Scale::tight([7.0].into_iter(), [0.0, 10.0]);
        assert_eq!((scale.place(7.0), scale.ticks()), (5.0, vec![7.0]));
    }
}
