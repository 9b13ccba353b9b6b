//! The step table of a study, for every way to write it.

use super::super::scores::Scores;
use super::super::study::Study;
use super::Report;
use crate::page::figure;

/// A table of text: names of columns, and rows that begin with the step count.
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A column and what it says.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Where better is; none where it is neither.
    pub(super) arrow: &'static str,
    pub(super) meaning: &'static str,
    value: fn(&Scores) -> Option<String>,
}

const COLUMNS: [Column; 13] = [
    Column {
        name: "distance",
        arrow: "↓",
        meaning: "Frechet distance between the features of drawn and real images",
        value: |scores| Some(figure(scores.distance, 4)),
    },
    Column {
        name: "95% interval",
        arrow: "",
        meaning: "of the distance, by bootstrap over the drawn images",
        value: |scores| {
            scores
                .distance_interval_95
                .map(|[low, high]| format!("{}–{}", figure(low, 4), figure(high, 4)))
        },
    },
    Column {
        name: "kernel distance",
        arrow: "↓",
        meaning: "KID: the unbiased squared discrepancy with a cubic kernel, with its deviation over subsets",
        value: |scores| {
            scores
                .kernel_distance
                .map(|[mean, std]| format!("{} ± {}", figure(mean, 3), figure(std, 2)))
        },
    },
    Column {
        name: "attributes",
        arrow: "↑",
        meaning: "share of what captions name that images show, by the classifier of attributes",
        value: |scores| {
            let (share, error) = scores.attributes.as_ref()?.total().share()?;
            Some(format!("{:.1} ± {:.1} %", 1e2 * share, 1e2 * error))
        },
    },
    Column {
        name: "CLIP score",
        arrow: "↑",
        meaning: "100 times the cosine of CLIP's vectors of image and caption",
        value: |scores| scores.clip.map(|clip| format!("{:.2}", clip.own)),
    },
    Column {
        name: "R-precision",
        arrow: "↑",
        meaning: "share of drawn images whose own caption is the nearest of 100, by CLIP",
        value: |scores| scores.clip.and_then(|clip| share(clip.r_precision)),
    },
    Column {
        name: "inception score",
        arrow: "↑",
        meaning: "certainty times variety of classes",
        value: |scores| scores.inception_score.map(|[mean, std]| format!("{mean:.2} ± {std:.2}")),
    },
    Column {
        name: "precision",
        arrow: "↑",
        meaning: "share of drawn images that are among real ones",
        value: |scores| share(scores.precision),
    },
    Column {
        name: "recall",
        arrow: "↑",
        meaning: "share of real images that are among drawn ones",
        value: |scores| share(scores.recall),
    },
    Column {
        name: "density",
        arrow: "↑",
        meaning: "how many real images have a drawn one near, over what is expected",
        value: |scores| share(scores.density),
    },
    Column {
        name: "coverage",
        arrow: "↑",
        meaning: "share of real images with a drawn one near",
        value: |scores| share(scores.coverage),
    },
    Column {
        name: "nearest",
        arrow: "",
        meaning: "mean distance to the nearest real image; copies of training images would come near 0",
        value: |scores| scores.nearest.map(|value| figure(value, 4)),
    },
    Column {
        name: "one caption",
        arrow: "",
        meaning: "mean distance between images of one caption",
        value: |_| None,
    },
];

impl Table {
    /// Floor first, then the step counts; columns without any value are left out.
    pub(super) fn of(report: &Report, study: &Study) -> Self {
        let is_first = study.label == "data";
        let diversity = report.diversity.as_ref().filter(|_| is_first);
        let cell = |column: &Column, scores: &Scores| match column.name {
            "one caption" => diversity.and_then(|diversity| match scores.steps() {
                Some(steps) => {
                    let of_steps = diversity.by_steps.iter().find(|(n, _)| *n == steps);
                    of_steps.map(|(_, value)| figure(*value, 4))
                }
                None => None,
            }),
            _ => (column.value)(scores),
        };
        let all: Vec<&Scores> = std::iter::once(&study.floor).chain(&study.rows).collect();
        let columns: Vec<Column> = COLUMNS
            .into_iter()
            .filter(|column| all.iter().any(|scores| cell(column, scores).is_some()))
            .collect();
        let row = |scores: &&Scores| {
            let first = scores.steps().map_or("autoencoder".to_owned(), |n| n.to_string());
            let cells = columns.iter().map(|column| cell(column, scores).unwrap_or_default());
            std::iter::once(first).chain(cells).collect()
        };
        let rows = all.iter().map(row).collect();
        Self { columns, rows }
    }
}

fn share(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.3}"))
}
