//! The report of objectives side by side.

mod images;
mod markdown;
mod page;
mod summary;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use stride_files::write_whole;

use self::summary::{Group, MEASURES, Measure, readable};
use super::chart::{Points, svg_file};
use crate::EvalError;
use crate::comparison::{Quality, StepResult};

pub use images::ComparisonImages;

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonReport {
    /// Version of the program.
    pub version: String,
    /// Passes of the network that every run spent.
    pub passes: u64,
    /// Images for each step count.
    pub samples: usize,
    /// Network and weights that made the features.
    pub features: String,
    /// The quality of real images.
    #[serde(rename = "real_pictures")]
    pub real_images: Quality,
    /// The objective to whose cost the others' are related.
    pub base: String,
    /// The runs, those of an objective in the order of their seeds.
    pub runs: Vec<ComparedRun>,
}

/// A training run with its results.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedRun {
    /// Its name.
    pub name: String,
    /// Name of its objective.
    pub objective: String,
    /// Settings of its objective.
    pub settings: Value,
    /// Seed of the training.
    pub seed: u64,
    /// Steps of the training.
    pub steps: u64,
    /// Rows of all batches.
    pub rows: u64,
    /// Passes of the network that a row takes.
    pub passes_per_row: f64,
    /// Milliseconds of training per row: the median over the run.
    pub milliseconds_per_row: Option<f64>,
    /// The loss by step of training.
    #[serde(skip)]
    pub loss: Points,
    /// Quality by step count.
    pub results: Vec<StepResult>,
}

impl ComparisonReport {
    /// Writes `report.html`, which needs no other file, `report.md` with its images, and `report.json`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, images: &ComparisonImages, dir: &Path) -> Result<(), EvalError> {
        let groups = Group::of(self);
        let chart = |(measure, real)| page::chart(&groups, measure, real);
        let curves = svg_file(&self.measures().map(chart).collect::<Vec<_>>());
        let json = serde_json::to_vec_pretty(self).expect("a report has only string keys");
        for (name, bytes) in [
            ("report.json", json),
            ("report.html", page::html(self, &groups, images).into_bytes()),
            ("report.md", markdown::with_images(self, &groups, images).into_bytes()),
            ("curves.svg", curves.into_bytes()),
            ("steps.jpg", images.sheet()?),
        ] {
            write_whole(&dir.join(name), &bytes)?;
        }
        Ok(())
    }

    /// Its tables in Markdown.
    pub fn tables(&self) -> String {
        markdown::tables(self, &Group::of(self))
    }

    /// What was measured, with the score of real images.
    fn measures(&self) -> impl Iterator<Item = (Measure, f64)> {
        let real = |measure: Measure| Some((measure, (measure.value)(&self.real_images)?));
        MEASURES.into_iter().filter_map(real)
    }

    /// One paragraph on what was done.
    fn summary(&self) -> String {
        format!(
            "Every run spent {} passes of the network: three per trained row, and one per row for every question to the \
             objective's teacher. {} images for each step count from the same captions and noise, without guidance; \
             features of the {}. Where an objective has several seeds, the mean and the range are given.",
            self.passes, self.samples, self.features
        )
    }

    /// What the table of costs says.
    fn about_costs(&self) -> String {
        format!(
            "Relative to {}. The time is the median over a run; it is meaningful only if nothing else ran at that time.",
            readable(&self.base)
        )
    }

    /// The cost of every objective: rows of text under [`COST_COLUMNS`].
    fn costs(&self, groups: &[Group<'_>]) -> Vec<Vec<String>> {
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
const COST_COLUMNS: [&str; 8] =
    ["objective", "seeds", "steps", "rows", "passes per row", "relative", "ms per row", "relative"];
