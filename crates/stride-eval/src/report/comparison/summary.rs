//! What the report says of the runs: costs, and those of an objective together as means and ranges over seeds.

use super::runs::{ComparedRun, ComparisonReport};
use crate::comparison::{Quality, STEP_COUNTS};
use crate::report::chart::Points;
use crate::report::text::significant;

/// The runs of one objective, one for each seed.
pub(super) struct Group<'a> {
    pub(super) objective: &'a str,
    pub(super) runs: Vec<&'a ComparedRun>,
}

/// Digits of a mean that count, seeds being few.
pub(super) const DIGITS: i32 = 3;

/// Mean and range of a number over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    low: f64,
    high: f64,
}

/// What is measured at every step count.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    pub(super) heading: &'static str,
    pub(super) axis: &'static str,
    pub(super) is_better_low: bool,
    pub(super) value: fn(&Quality) -> Option<f64>,
}

/// Every measure that a report shows.
pub(super) const MEASURES: [Measure; 2] = [
    Measure {
        heading: "Frechet distance by number of steps",
        axis: "Frechet distance",
        is_better_low: true,
        value: |quality| Some(quality.frechet_distance),
    },
    Measure {
        heading: "Attribute accuracy by number of steps",
        axis: "Attributes named and shown, in percent",
        is_better_low: false,
        value: |quality| Some(1e2 * quality.accuracy.total().fraction()?.0),
    },
];

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(Self { mean: values.iter().sum::<f64>() / values.len() as f64, low, high })
    }

    /// The range as text; nothing where its ends read the same.
    pub(super) fn range(&self) -> Option<String> {
        let (low, high) = (significant(self.low, DIGITS), significant(self.high, DIGITS));
        (low != high).then(|| format!("{low}–{high}"))
    }
}

impl Group<'_> {
    /// The groups of a report in the order of their configurations.
    pub(super) fn of(report: &ComparisonReport) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for run in &report.runs {
            match groups.iter_mut().find(|group| group.objective == run.objective) {
                Some(group) => group.runs.push(run),
                None => groups.push(Group { objective: &run.objective, runs: vec![run] }),
            }
        }
        groups
    }

    /// The name as people write it.
    pub(super) fn name(&self) -> String {
        readable(self.objective)
    }

    /// A number of all runs.
    pub(super) fn over_runs(&self, value: impl Fn(&ComparedRun) -> Option<f64>) -> Option<Spread> {
        Spread::of(&self.runs.iter().filter_map(|run| value(run)).collect::<Vec<_>>())
    }

    /// A measure at a step count.
    pub(super) fn at(&self, steps: usize, measure: Measure) -> Option<Spread> {
        self.over_runs(|run| {
            (measure.value)(&run.results.iter().find(|result| result.steps == steps)?.quality)
        })
    }

    /// The means of a measure by step count.
    pub(super) fn curve(&self, measure: Measure) -> Points {
        let mean = |steps| Some((steps as f64, self.at(steps, measure)?.mean));
        STEP_COUNTS.into_iter().filter_map(mean).collect()
    }
}

/// The name of an objective as people write it.
pub(super) fn readable(objective: &str) -> String {
    objective.replace('_', " ")
}

impl Measure {
    /// The group that is best at a step count.
    pub(super) fn best(&self, groups: &[Group<'_>], steps: usize) -> Option<usize> {
        let sign = if self.is_better_low { 1.0 } else { -1.0 };
        let means = groups.iter().enumerate();
        let means = means.filter_map(|(index, group)| Some((index, group.at(steps, *self)?.mean)));
        means.min_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1))).map(|(index, _)| index)
    }
}

impl ComparisonReport {
    /// What was measured, with the score of real images.
    pub(super) fn measures(&self) -> impl Iterator<Item = (Measure, f64)> {
        let real = |measure: Measure| Some((measure, (measure.value)(&self.real_images)?));
        MEASURES.into_iter().filter_map(real)
    }

    /// One paragraph on what was done.
    pub(super) fn summary(&self) -> String {
        format!(
            "Every run spent {} passes of the network: three per trained row, and one per row for every question to the \
             objective's teacher. {} images for each step count from the same captions and noise, without guidance; \
             features of the {}. Where an objective has several seeds, the mean and the range are given.",
            self.passes, self.samples, self.features
        )
    }

    /// What the table of costs says.
    pub(super) fn about_costs(&self) -> String {
        format!(
            "Relative to {}. The time is the median over a run; it is meaningful only if nothing else ran at that time.",
            readable(&self.base)
        )
    }

    /// The cost of every objective: rows of text under [`COST_COLUMNS`].
    pub(super) fn costs(&self, groups: &[Group<'_>]) -> Vec<Vec<String>> {
        let time = |group: &Group<'_>| Some(group.over_runs(|run| run.milliseconds_per_row)?.mean);
        let passes = |group: &Group<'_>| group.runs[0].passes_per_row;
        let base = groups.iter().find(|group| group.objective == self.base);
        let relative = |value: f64, of: f64| format!("{:+.1} %", (value / of - 1.0) * 1e2);
        let row = |group: &Group<'_>| {
            let (run, time_of_base) = (group.runs[0], base.and_then(time));
            let relative_time = time(group).zip(time_of_base).map(|(time, of)| relative(time, of));
            vec![
                group.name(),
                group.runs.len().to_string(),
                run.steps.to_string(),
                run.rows.to_string(),
                format!("{:.2}", passes(group)),
                base.map_or_else(String::new, |base| relative(passes(group), passes(base))),
                time(group).map_or_else(String::new, |time| format!("{time:.1}")),
                relative_time.unwrap_or_default(),
            ]
        };
        groups.iter().map(row).collect()
    }
}

/// Columns of the table of costs.
pub(super) const COST_COLUMNS: [&str; 8] =
    ["objective", "seeds", "steps", "rows", "passes per row", "relative", "ms per row", "relative"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_range_if_its_ends_read_differently() {
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[1512.3]).expect("a value");
        assert_eq!((one.mean, one.range()), (1512.3, None));
        let near = Spread::of(&[71.11, 71.12]).expect("values");
        assert_eq!(near.range(), None);
        let two = Spread::of(&[20.0, 10.0]).expect("values");
        assert_eq!((two.mean, two.range().as_deref()), (15.0, Some("10–20")));
    }
}
