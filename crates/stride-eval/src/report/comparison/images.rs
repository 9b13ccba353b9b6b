//! Images of every objective from the same prompts and noise.

use std::sync::atomic::AtomicBool;

use crate::EvalError;
use crate::comparison::STEP_COUNTS;
use crate::generator::{Generator, SampleRequest};
use crate::report::images::sheet;
use crate::report::samples::Samples;

/// Prompts, each with its own seed.
const PROMPTS: [&str; 4] = [
    "A smiling woman with long blond hair on a blue background",
    "A man with a full beard and glasses, wearing a red t-shirt",
    "A woman with short black hair and sunglasses on a yellow background",
    "A bald man in a green jacket on a white background",
];
/// Prompts of the sheet in one file.
pub(super) const SHEET_PROMPTS: usize = 2;

/// The images of a comparison as they come.
#[derive(Clone, Debug, Default)]
pub struct ComparisonImages {
    /// Objectives, and what their first runs generate.
    pub(super) objectives: Vec<(String, Samples)>,
}

impl ComparisonImages {
    /// Generates the images of an objective, unless they are there from another seed.
    ///
    /// # Errors
    /// The model cannot generate one, or `stop` was set ([`EvalError::Interrupted`]).
    pub fn generate(
        &mut self,
        objective: &str,
        generator: &dyn Generator,
        stop: &AtomicBool,
    ) -> Result<(), EvalError> {
        if self.objectives.iter().any(|(other, _)| other == objective) {
            return Ok(());
        }
        let prompts = PROMPTS.map(str::to_owned).to_vec();
        let samples =
            Samples::generate(prompts, &STEP_COUNTS, |prompt, index, steps, observer| {
                let seed = index as u64;
                let request = SampleRequest { prompt, num_steps: steps, cfg_scale: 1.0, seed };
                request.generate(generator, stop, observer)
            })?;
        self.objectives.push((objective.to_owned(), samples));
        Ok(())
    }

    /// The prompts of every objective.
    pub(super) fn prompts(&self) -> &[&'static str] {
        &PROMPTS
    }

    /// The first prompts side by side as one JPEG file: a row for every objective.
    pub(super) fn sheet(&self) -> Result<Vec<u8>, EvalError> {
        sheet(
            self.objectives
                .iter()
                .map(|(_, samples)| samples.rows[..SHEET_PROMPTS].iter().flatten()),
        )
    }
}
