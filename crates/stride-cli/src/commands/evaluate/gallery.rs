//! The images of a report: the same noise at every step count, and the intermediate steps from noise to image.

use std::sync::atomic::AtomicBool;

use stride_eval::evaluator::{Evaluator, SplitResult};
use stride_eval::report::images::{STRIP_STEPS, Strip, Tile, is_in_strip, sheet};

/// Prompts of the grid.
const PROMPTS: usize = 6;

/// What the report shows.
pub(super) struct Gallery {
    /// The captions of the grid's rows.
    pub(super) prompts: Vec<String>,
    /// A row for each caption, an image for each step count.
    pub(super) grid: Vec<Vec<Tile>>,
    /// The grid as one JPEG file.
    pub(super) sheet: Vec<u8>,
    /// Intermediate steps of the first image.
    pub(super) strips: Vec<Strip>,
    /// The failures of every split.
    pub(super) failures: Vec<Vec<Tile>>,
}

impl Gallery {
    /// Draws the images again that a report shows.
    pub(super) fn draw(
        evaluator: &Evaluator,
        splits: &[SplitResult],
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let data = &evaluator.splits()[0];
        let count = data.folder.images.len().min(PROMPTS);
        let prompts: Vec<String> = (0..count).map(|index| data.caption(index).to_owned()).collect();
        let tile = |prompt: &str, index, steps| -> anyhow::Result<Tile> {
            let image = evaluator.generate(0, prompt, index, steps, stop, &mut |_| {})?;
            Ok(Tile::new(&image)?)
        };
        let row = |(index, prompt): (usize, &String)| {
            let steps = evaluator.settings().steps.iter();
            steps.map(|&steps| tile(prompt, index, steps)).collect::<anyhow::Result<Vec<_>>>()
        };
        let grid = prompts.iter().enumerate().map(row).collect::<anyhow::Result<Vec<_>>>()?;
        let strips = STRIP_STEPS.map(|steps| strip(evaluator, &prompts[0], steps, stop));
        let failures = splits.iter().map(|split| {
            let failures = split.failures.iter();
            failures.map(|failure| tile(&failure.caption, failure.index, failure.steps)).collect()
        });
        Ok(Self {
            sheet: sheet(&grid)?,
            grid,
            strips: strips.into_iter().collect::<anyhow::Result<_>>()?,
            failures: failures.collect::<anyhow::Result<_>>()?,
            prompts,
        })
    }
}

/// The states of image 0 after some steps.
fn strip(
    evaluator: &Evaluator,
    prompt: &str,
    steps: usize,
    stop: &AtomicBool,
) -> anyhow::Result<Strip> {
    let mut states = Vec::new();
    evaluator.generate(0, prompt, 0, steps, stop, &mut |state| {
        if is_in_strip(state.step, steps) {
            states.push(Tile::new(&(state.preview)()));
        }
    })?;
    Ok(Strip { steps, states: states.into_iter().collect::<Result<_, _>>()? })
}
