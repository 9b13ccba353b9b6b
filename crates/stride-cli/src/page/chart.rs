//! Curves as SVG that takes its colours from the page.

use std::fmt::Write as _;

use super::text::{escape, figure};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;
/// Colours of the page; more lines share them.
const COLOURS: usize = 9;
/// Ratio of the largest to the smallest value from which an axis is logarithmic.
const LOGARITHMIC_FROM: f64 = 8.0;

/// Named curves over one axis.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x_name: &'a str,
    /// Places and labels of the ticks along x.
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
    /// A level to compare with.
    pub(crate) level: Option<(String, f64)>,
}

/// A named curve.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Where dots are: on the points, nowhere, or at the single values that the points are means of.
    pub(crate) dots: Vec<(f64, f64)>,
}

/// The scale of the values.
struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    fn of(values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > 0.0 && high > LOGARITHMIC_FROM * low {
            return Self { low: low / 1.15, high: high * 1.15, is_log: true };
        }
        let margin = ((high - low) * 0.08).max(high.abs() * 0.02).max(1e-9);
        // Small non-negative values read best from zero.
        let from = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low - margin };
        Self { low: from, high: high + margin, is_log: false }
    }

    /// Height on the page.
    fn y(&self, value: f64) -> f64 {
        let f = |v: f64| if self.is_log { v.ln() } else { v };
        let share = (f(value) - f(self.low)) / (f(self.high) - f(self.low));
        TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
    }

    /// Round values inside the range.
    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(decade)));
            return all.filter(|value| (self.low..=self.high).contains(value)).collect();
        }
        let rough = (self.high - self.low) / 4.0;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * unit).into_iter().find(|&s| s >= rough);
        let step = step.unwrap_or(unit);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }
}

impl Chart<'_> {
    /// A figure with legend; nothing without points.
    pub(crate) fn html(&self) -> String {
        let points =
            || self.lines.iter().flat_map(|line| line.points.iter().chain(&line.dots)).copied();
        if points().next().is_none() {
            return String::new();
        }
        let mut values: Vec<f64> = points().map(|point| point.1).collect();
        values.extend(self.level.iter().map(|level| level.1));
        let scale = Scale::of(&values);
        let x_low = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
        let x_high = points().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
        let width = (x_high - x_low).max(1e-9);
        let x = |value: f64| LEFT + 8.0 + (value - x_low) / width * (WIDTH - LEFT - RIGHT - 16.0);

        let mut svg = format!(
            "<figure class=\"chart\"><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{}\">",
            escape(self.title),
            escape(self.title)
        );
        for value in scale.ticks() {
            let y = scale.y(value);
            let _ = write!(
                svg,
                "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" \
                 x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                figure(value, 3)
            );
        }
        for (place, label) in &self.ticks {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x(*place),
                HEIGHT - BOTTOM + 18.0,
                escape(label)
            );
        }
        let _ = write!(
            svg,
            "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 4.0,
            escape(self.x_name)
        );
        if let Some((_, value)) = &self.level {
            let y = scale.y(*value);
            let _ = write!(
                svg,
                "<line class=\"level\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                WIDTH - RIGHT
            );
        }
        for (index, line) in (0..COLOURS).cycle().zip(&self.lines) {
            let places: Vec<String> = line
                .points
                .iter()
                .map(|&(place, value)| format!("{:.1},{:.1}", x(place), scale.y(value)))
                .collect();
            let _ =
                write!(svg, "<polyline class=\"line c{index}\" points=\"{}\"/>", places.join(" "));
            for &(place, value) in &line.dots {
                let _ = write!(
                    svg,
                    "<circle class=\"dot c{index}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}: {}</title></circle>",
                    x(place),
                    scale.y(value),
                    escape(&line.name),
                    figure(value, 3)
                );
            }
        }
        svg.push_str("</svg><p class=\"legend\">");
        for (index, line) in (0..COLOURS).cycle().zip(&self.lines) {
            let _ = write!(svg, "<span><i class=\"c{index}\"></i>{}</span>", escape(&line.name));
        }
        if let Some((name, value)) = &self.level {
            let _ = write!(
                svg,
                "<span><i class=\"dash\"></i>{} {}</span>",
                escape(name),
                figure(*value, 3)
            );
        }
        svg.push_str("</p></figure>");
        svg
    }
}

/// Where a number of steps lies along x: doublings are as far apart as each other.
pub(crate) fn step_place(steps: usize) -> f64 {
    (steps as f64).log2()
}

/// A tick for every number of steps.
pub(crate) fn step_ticks(steps: impl IntoIterator<Item = usize>) -> Vec<(f64, String)> {
    steps.into_iter().map(|steps| (step_place(steps), steps.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_their_values_and_have_round_ticks() {
        for values in
            [vec![0.1, 0.2, 0.9], vec![0.01, 30.0], vec![5.0, 5.0], vec![-2.0, 3.0], vec![0.0]]
        {
            let scale = Scale::of(&values);
            for &value in &values {
                let y = scale.y(value);
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{values:?}: {value} at {y}");
            }
            let ticks = scale.ticks();
            assert!((1..=14).contains(&ticks.len()), "{values:?}: {ticks:?}");
        }
        assert!(Scale::of(&[0.01, 30.0]).is_log && !Scale::of(&[1.0, 2.0]).is_log);
    }
}
