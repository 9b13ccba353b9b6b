//! The images of the report, generated again from their seeds.

use std::sync::atomic::AtomicBool;

use crate::EvalError;
use crate::evaluator::{Evaluator, PromptReport};
use crate::report::images::Tile;

/// Prompts of the contact sheet: few, so that one looks at them.
const SHEET_PROMPTS: usize = 8;
/// Failures that are shown.
pub(super) const SHOWN: usize = 12;

/// What the report shows.
#[derive(Clone, Debug)]
pub struct PromptImages {
    /// Prompts, evenly spaced over the file.
    pub prompts: Vec<String>,
    /// The first image of each of them, at every step count.
    pub rows: Vec<Vec<Tile>>,
    /// The worst image of each of the worst prompts.
    pub failures: Vec<Tile>,
}

impl PromptImages {
    /// Generates the images of a report.
    ///
    /// # Errors
    /// The model cannot generate one, `stop` was set ([`EvalError::Interrupted`]), or the evaluator is one of data.
    pub fn generate(
        evaluator: &Evaluator,
        report: &PromptReport,
        stop: &AtomicBool,
    ) -> Result<Self, EvalError> {
        let Some(set) = evaluator.prompts() else {
            return Err(EvalError::TooFew { what: "prompts".to_owned(), expected: 1, found: 0 });
        };
        let tile = |text: &str, image, steps| {
            Tile::new(&evaluator.generate(0, text, image, steps, stop, &mut |_| {})?)
        };
        let (mut prompts, mut rows) = (Vec::new(), Vec::new());
        let count = set.prompts.len().min(SHEET_PROMPTS);
        for place in (0..count).map(|k| k * set.prompts.len() / count) {
            let text = &set.prompts[place].text;
            let steps = report.rows.iter().map(|row| row.steps);
            let row = steps.map(|steps| tile(text, place * set.seeds, steps));
            rows.push(row.collect::<Result<_, _>>()?);
            prompts.push(text.clone());
        }
        let failures = report.failures.iter().take(SHOWN);
        let failures = failures
            .map(|failure| tile(&failure.text, failure.worst_image, report.failure_steps))
            .collect::<Result<_, _>>()?;
        Ok(Self { prompts, rows, failures })
    }
}
