//! Pictures of every objective from the same prompts and noises, and the way from noise to picture.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use stride::image::RgbImage;
use stride::pipeline::{GenerateRequest, Pipeline};

use super::evaluation::{STEP_COUNTS, generate};
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

/// The pictures of a comparison as they come.
#[derive(Default)]
pub(super) struct Gallery {
    pub(super) objectives: Vec<Pictures>,
}

/// The pictures of one objective, drawn by its first run.
pub(super) struct Pictures {
    pub(super) objective: String,
    /// A row for every prompt, a picture for every step count.
    tiles: Vec<Vec<RgbImage>>,
    /// The same as JPEG files.
    pub(super) rows: Vec<Vec<Vec<u8>>>,
    /// Steps, and states on the way as JPEG files.
    pub(super) strips: Vec<(usize, Vec<Vec<u8>>)>,
}

impl Gallery {
    /// Draws the pictures of an objective, unless they are there from another seed.
    pub(super) fn draw(
        &mut self,
        objective: &str,
        pipeline: &Pipeline,
        stop: &AtomicBool,
    ) -> Result<()> {
        if self.objectives.iter().any(|pictures| pictures.objective == objective) {
            return Ok(());
        }
        let mut tiles = Vec::new();
        for (index, prompt) in PROMPTS.into_iter().enumerate() {
            let mut row = Vec::new();
            for steps in STEP_COUNTS {
                row.extend(
                    generate(pipeline, &request(prompt, index, steps), stop)?.iter().map(tile),
                );
            }
            tiles.push(row);
        }
        let rows = tiles.iter().map(|row| row.iter().map(jpeg).collect::<Result<_>>());
        let rows = rows.collect::<Result<_>>()?;
        let strips = STRIP_STEPS.map(|steps| Ok((steps, strip(pipeline, steps, stop)?)));
        let strips = strips.into_iter().collect::<Result<_>>()?;
        self.objectives.push(Pictures { objective: objective.to_owned(), tiles, rows, strips });
        Ok(())
    }

    /// The first prompts side by side as one JPEG file: a row for every objective.
    pub(super) fn sheet(&self) -> Result<Vec<u8>> {
        let row = |pictures: &Pictures| pictures.tiles[..SHEET_PROMPTS].concat();
        jpeg(&RgbImage::sheet(&self.objectives.iter().map(row).collect::<Vec<_>>(), GAP))
    }
}

fn request(prompt: &str, index: usize, num_steps: usize) -> GenerateRequest {
    GenerateRequest {
        prompt: prompt.to_owned(),
        negative_prompt: None,
        num_steps,
        cfg_scale: 1.0,
        seed: index as u64,
        count: 1,
    }
}

/// States of the first prompt on the way, evenly spaced; the last one is the picture.
fn strip(pipeline: &Pipeline, num_steps: usize, stop: &AtomicBool) -> Result<Vec<Vec<u8>>> {
    let mut states = Vec::new();
    pipeline.generate(&request(PROMPTS[0], 0, num_steps), &mut |event| {
        if is_in_strip(event.step, num_steps) {
            states.push(tile(&event.preview()));
        }
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    states.iter().map(jpeg).collect()
}
