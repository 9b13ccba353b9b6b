//! The step table of a split, for every way to write it.

use crate::evaluator::{EvaluationReport, Scores, SplitResult};
use crate::report::attributes::AttributeTable;
use crate::report::text::significant;

/// Scores by step count, as text.
pub(super) struct Table {
    /// Those with a value at any step count.
    pub(super) columns: Vec<Column>,
    /// The autoencoder first, then the step counts.
    pub(super) rows: Vec<Row>,
}

/// The scores of a step count, or of the autoencoder.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

/// A score; empty where there is none.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) text: String,
    value: Option<f64>,
}

/// A column and what it says.
#[derive(Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    better: Better,
    pub(super) meaning: &'static str,
    /// Its cell for scores and, where it was measured, the diversity of images of one caption.
    cell: fn(&Scores, Option<f64>) -> Option<Cell>,
}

/// Which values of a column are good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
    Neither,
}

impl Table {
    /// The table of a split.
    pub(super) fn of(report: &EvaluationReport, split: &SplitResult) -> Self {
        let diversity = report.diversity.as_ref().filter(|_| split.label == "data");
        let diversity_at = |steps: usize| {
            let by_steps = &diversity?.by_steps;
            by_steps.iter().find(|(n, _)| *n == steps).map(|(_, value)| *value)
        };
        let all = || {
            std::iter::once(&split.floor)
                .chain(&split.rows)
                .map(|scores| (scores, scores.steps().and_then(diversity_at)))
        };
        let columns: Vec<Column> = COLUMNS
            .into_iter()
            .filter(|column| {
                all().any(|(scores, diversity)| (column.cell)(scores, diversity).is_some())
            })
            .collect();
        let row = |(scores, diversity): (&Scores, Option<f64>)| Row {
            name: scores.steps().map_or("autoencoder".to_owned(), |steps| steps.to_string()),
            cells: columns
                .iter()
                .map(|column| (column.cell)(scores, diversity).unwrap_or_default())
                .collect(),
        };
        let rows = all().map(row).collect();
        Self { columns, rows }
    }

    /// Whether no step count has a better value in a column than a row has, the autoencoder left out.
    pub(super) fn is_best(&self, row: usize, column: usize) -> bool {
        let sign = match self.columns[column].better {
            Better::Lower => -1.0,
            Better::Higher => 1.0,
            Better::Neither => return false,
        };
        let value = |row: &Row| row.cells[column].value.map(|value| sign * value);
        let best = self.rows.iter().skip(1).filter_map(value).reduce(f64::max);
        row > 0 && best.is_some() && value(&self.rows[row]) == best
    }
}

/// How often every attribute of a split is shown; none where captions name no attributes.
pub(super) fn attribute_table(split: &SplitResult) -> Option<AttributeTable<'_>> {
    let rows = split.rows.iter();
    let rows = rows.filter_map(|scores| Some((scores.steps()?, scores.attributes.as_ref()?)));
    Some(AttributeTable {
        counted: "named",
        real: Some(split.real_attributes.as_ref()?),
        rows: rows.collect(),
    })
}

impl Column {
    /// The name with an arrow to where better is.
    pub(super) fn title(&self) -> String {
        match self.better {
            Better::Lower => format!("{} ↓", self.name),
            Better::Higher => format!("{} ↑", self.name),
            Better::Neither => self.name.to_owned(),
        }
    }
}

fn cell(text: String, value: f64) -> Cell {
    Cell { text, value: Some(value) }
}

fn fraction(value: Option<f64>) -> Option<Cell> {
    value.map(|value| cell(format!("{value:.3}"), value))
}

/// Every score that a report shows.
const COLUMNS: [Column; 13] = [
    Column {
        name: "distance",
        better: Better::Lower,
        meaning: "Frechet distance between the features of generated and real images",
        cell: |scores, _| Some(cell(significant(scores.distance, 4), scores.distance)),
    },
    Column {
        name: "95% interval",
        better: Better::Neither,
        meaning: "bootstrap confidence interval of the distance, over the generated images",
        cell: |scores, _| {
            let [low, high] = scores.distance_interval_95?;
            Some(cell(format!("{}–{}", significant(low, 4), significant(high, 4)), low))
        },
    },
    Column {
        name: "kernel distance",
        better: Better::Lower,
        meaning: "KID: unbiased squared maximum mean discrepancy with a cubic kernel, ± standard deviation over subsets",
        cell: |scores, _| {
            let [mean, std] = scores.kernel_distance?;
            Some(cell(format!("{} ± {}", significant(mean, 3), significant(std, 2)), mean))
        },
    },
    Column {
        name: "attributes",
        better: Better::Higher,
        meaning: "fraction of the attributes named by captions that the images show, according to the attribute classifier",
        cell: |scores, _| {
            let (fraction, error) = scores.attributes.as_ref()?.total().fraction()?;
            Some(cell(format!("{:.1} ± {:.1} %", 1e2 * fraction, 1e2 * error), fraction))
        },
    },
    Column {
        name: "CLIP score",
        better: Better::Higher,
        meaning: "100 times the cosine similarity of the CLIP embeddings of image and caption",
        cell: |scores, _| scores.clip.map(|clip| cell(format!("{:.2}", clip.own), clip.own)),
    },
    Column {
        name: "R-precision",
        better: Better::Higher,
        meaning: "fraction of generated images whose own caption is the nearest of 100, by CLIP",
        cell: |scores, _| fraction(scores.clip?.r_precision),
    },
    Column {
        name: "inception score",
        better: Better::Higher,
        meaning: "high where every image has a clear class and the classes vary, ± standard deviation over splits",
        cell: |scores, _| {
            let [mean, std] = scores.inception_score?;
            Some(cell(format!("{mean:.2} ± {std:.2}"), mean))
        },
    },
    Column {
        name: "precision",
        better: Better::Higher,
        meaning: "fraction of generated images that lie on the manifold of the real ones",
        cell: |scores, _| fraction(scores.precision),
    },
    Column {
        name: "recall",
        better: Better::Higher,
        meaning: "fraction of real images that lie on the manifold of the generated ones",
        cell: |scores, _| fraction(scores.recall),
    },
    Column {
        name: "density",
        better: Better::Higher,
        meaning: "how many neighbourhoods of real images a generated image lies in, relative to the expected number",
        cell: |scores, _| fraction(scores.density),
    },
    Column {
        name: "coverage",
        better: Better::Higher,
        meaning: "fraction of real images with a generated image in their neighbourhood",
        cell: |scores, _| fraction(scores.coverage),
    },
    Column {
        name: "nearest",
        better: Better::Neither,
        meaning: "mean distance to the nearest real image; copies of training images would be near 0",
        cell: |scores, _| scores.nearest.map(|value| cell(significant(value, 4), value)),
    },
    Column {
        name: "one caption",
        better: Better::Neither,
        meaning: "mean distance between the images generated for one caption",
        cell: |_, diversity| diversity.map(|value| cell(significant(value, 4), value)),
    },
];
