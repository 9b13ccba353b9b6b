//! The images of the report, generated again from their seeds.

use std::sync::atomic::AtomicBool;

use crate::EvalError;
use crate::evaluator::{EvaluationReport, Evaluator, Failure};
use crate::report::images::Tile;
use crate::report::samples::Samples;

/// Prompts of the grid.
const PROMPTS: usize = 6;

/// What the report shows.
#[derive(Clone, Debug)]
pub struct EvaluationImages {
    /// The first captions of the data.
    pub samples: Samples,
    /// The failures of every split.
    pub failures: Vec<Vec<Tile>>,
}

impl EvaluationImages {
    /// Generates the images of a report.
    ///
    /// # Errors
    /// The model cannot generate one, or `stop` was set ([`EvalError::Interrupted`]).
    pub fn generate(
        evaluator: &Evaluator,
        report: &EvaluationReport,
        stop: &AtomicBool,
    ) -> Result<Self, EvalError> {
        let data = &evaluator.splits()[0];
        let count = data.folder.images.len().min(PROMPTS);
        let prompts = (0..count).map(|index| data.caption(index).to_owned()).collect();
        let steps = &evaluator.settings().steps;
        let samples = Samples::generate(prompts, steps, |prompt, index, steps, observer| {
            evaluator.generate(0, prompt, index, steps, stop, observer)
        })?;
        let failure = |failure: &Failure| {
            let Failure { caption, index, steps, .. } = failure;
            Tile::new(&evaluator.generate(0, caption, *index, *steps, stop, &mut |_| {})?)
        };
        let failures =
            report.splits.iter().map(|split| split.failures.iter().map(failure).collect());
        Ok(Self { samples, failures: failures.collect::<Result<_, _>>()? })
    }
}
