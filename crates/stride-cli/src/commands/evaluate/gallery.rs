//! The images of a report: the same noise at every step count, and the intermediate steps from noise to image.

use stride_eval::report::images::{STRIP_STEPS, Strip, Tile, is_in_strip, sheet};

use super::draw::Studio;
use super::study::Study;

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
    /// The failures of every study.
    pub(super) failures: Vec<Vec<Tile>>,
}

impl Gallery {
    /// Draws the images again that a report shows.
    pub(super) fn draw(studio: &Studio<'_>, studies: &[Study]) -> anyhow::Result<Self> {
        let images = &studio.data[0].folder.images;
        let prompts: Vec<String> =
            images.iter().take(PROMPTS).map(|image| image.captions[0].clone()).collect();
        let tile = |prompt: &str, index, steps| -> anyhow::Result<Tile> {
            Ok(Tile::new(&studio.draw(0, prompt, index, steps)?)?)
        };
        let row = |(index, prompt): (usize, &String)| {
            let steps = studio.job.steps.iter();
            steps.map(|&steps| tile(prompt, index, steps)).collect::<anyhow::Result<Vec<_>>>()
        };
        let grid = prompts.iter().enumerate().map(row).collect::<anyhow::Result<Vec<_>>>()?;
        let strips = STRIP_STEPS.map(|steps| strip(studio, &prompts[0], steps));
        let failures = studies.iter().map(|study| {
            let failures = study.failures.iter();
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
fn strip(studio: &Studio<'_>, prompt: &str, steps: usize) -> anyhow::Result<Strip> {
    let mut states = Vec::new();
    studio.draw_seen(0, prompt, 0, steps, &mut |event| {
        if is_in_strip(event.step, steps) {
            states.push(Tile::new(&event.preview()));
        }
    })?;
    Ok(Strip { steps, states: states.into_iter().collect::<Result<_, _>>()? })
}
