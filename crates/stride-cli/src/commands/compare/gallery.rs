//! Images of every objective from the same prompts and noises, and the way from noise to image.

use std::sync::atomic::AtomicBool;

use anyhow::Result;
use stride::image::RgbImage;
use stride::pipeline::Pipeline;

use super::evaluation::{STEP_COUNTS, draw, draw_seen};
use crate::page::{GAP, STRIP_STEPS, is_in_strip, jpeg, tile};

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
    tiles: Vec<Vec<RgbImage>>,
    /// The same as JPEG files.
    pub(super) rows: Vec<Vec<Vec<u8>>>,
    /// Steps, and states on the way as JPEG files.
    pub(super) strips: Vec<(usize, Vec<Vec<u8>>)>,
}

impl Gallery {
    /// Draws the images of an objective, unless they are there from another seed.
    pub(super) fn draw(
        &mut self,
        objective: &str,
        pipeline: &Pipeline,
        stop: &AtomicBool,
    ) -> Result<()> {
        if self.objectives.iter().any(|images| images.objective == objective) {
            return Ok(());
        }
        let mut tiles = Vec::new();
        for (index, prompt) in PROMPTS.into_iter().enumerate() {
            let row = STEP_COUNTS
                .map(|steps| Ok(tile(&draw(pipeline, prompt, index as u64, steps, stop)?)));
            tiles.push(row.into_iter().collect::<Result<Vec<_>>>()?);
        }
        let rows = tiles.iter().map(|row| row.iter().map(jpeg).collect::<Result<_>>());
        let rows = rows.collect::<Result<_>>()?;
        let strips = STRIP_STEPS.map(|steps| Ok((steps, strip(pipeline, steps, stop)?)));
        let strips = strips.into_iter().collect::<Result<_>>()?;
        self.objectives.push(Images { objective: objective.to_owned(), tiles, rows, strips });
        Ok(())
    }

    /// The first prompts side by side as one JPEG file: a row for every objective.
    pub(super) fn sheet(&self) -> Result<Vec<u8>> {
        let row = |images: &Images| images.tiles[..SHEET_PROMPTS].concat();
        jpeg(&RgbImage::sheet(&self.objectives.iter().map(row).collect::<Vec<_>>(), GAP))
    }
}

/// States of the first prompt on the way, evenly spaced; the last one is the image.
fn strip(pipeline: &Pipeline, num_steps: usize, stop: &AtomicBool) -> Result<Vec<Vec<u8>>> {
    let mut states = Vec::new();
    draw_seen(pipeline, PROMPTS[0], 0, num_steps, stop, &mut |event| {
        if is_in_strip(event.step, num_steps) {
            states.push(tile(&event.preview()));
        }
    })?;
    states.iter().map(jpeg).collect()
}
