//! Images of every objective from the same prompts and noise, and the intermediate steps from noise to image.

use std::sync::atomic::AtomicBool;

use anyhow::Result;
use stride_eval::comparison::STEP_COUNTS;
use stride_eval::generator::{Generator, SampleRequest};
use stride_eval::report::images::{STRIP_STEPS, Strip, Tile, is_in_strip, sheet};

/// Prompts, each with its own seed.
pub(super) const PROMPTS: [&str; 4] = [
    "A smiling woman with long blond hair on a blue background",
    "A man with a full beard and glasses, wearing a red t-shirt",
    "A woman with short black hair and sunglasses on a yellow background",
    "A bald man in a green jacket on a white background",
];
/// Prompts of the sheet in one file.
pub(super) const SHEET_PROMPTS: usize = 2;

/// The images of a comparison as they come.
#[derive(Default)]
pub(super) struct Gallery {
    pub(super) objectives: Vec<Images>,
}

/// The images of one objective, drawn by its first run.
pub(super) struct Images {
    pub(super) objective: String,
    /// A row for every prompt, an image for every step count.
    pub(super) rows: Vec<Vec<Tile>>,
    /// Intermediate steps of the first prompt.
    pub(super) strips: Vec<Strip>,
}

impl Gallery {
    /// Draws the images of an objective, unless they are there from another seed.
    pub(super) fn draw(
        &mut self,
        objective: &str,
        generator: &dyn Generator,
        stop: &AtomicBool,
    ) -> Result<()> {
        if self.objectives.iter().any(|images| images.objective == objective) {
            return Ok(());
        }
        let tile = |prompt: &str, seed, steps| -> Result<Tile> {
            let request = SampleRequest { prompt, num_steps: steps, cfg_scale: 1.0, seed };
            Ok(Tile::new(&request.generate(generator, stop, &mut |_| {})?)?)
        };
        let row = |(seed, prompt): (u64, &str)| {
            let tiles = STEP_COUNTS.into_iter().map(|steps| tile(prompt, seed, steps));
            tiles.collect::<Result<_>>()
        };
        let strips = STRIP_STEPS.into_iter().map(|steps| strip(generator, steps, stop));
        self.objectives.push(Images {
            objective: objective.to_owned(),
            rows: (0..).zip(PROMPTS).map(row).collect::<Result<_>>()?,
            strips: strips.collect::<Result<_>>()?,
        });
        Ok(())
    }

    /// The first prompts side by side as one JPEG file: a row for every objective.
    pub(super) fn sheet(&self) -> Result<Vec<u8>> {
        Ok(sheet(
            self.objectives.iter().map(|images| images.rows[..SHEET_PROMPTS].iter().flatten()),
        )?)
    }
}

/// The states of the first prompt after some steps.
fn strip(generator: &dyn Generator, steps: usize, stop: &AtomicBool) -> Result<Strip> {
    let mut states = Vec::new();
    let request = SampleRequest { prompt: PROMPTS[0], num_steps: steps, cfg_scale: 1.0, seed: 0 };
    request.generate(generator, stop, &mut |state| {
        if is_in_strip(state.step, steps) {
            states.push(Tile::new(&(state.preview)()));
        }
    })?;
    Ok(Strip { steps, states: states.into_iter().collect::<Result<_, _>>()? })
}
