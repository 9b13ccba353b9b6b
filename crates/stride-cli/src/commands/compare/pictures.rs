//! Sheets of the same prompts and seeds, and strips of the way from noise to picture.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use stride::image::{PngMetadata, RgbImage, png_bytes};
use stride::pipeline::{GenerateError, GenerateRequest, Pipeline};

use super::evaluation::{STEP_COUNTS, generate};
use crate::output::write_whole;

/// Prompts of a sheet, from left to right, each with its own seed.
pub(super) const PROMPTS: [&str; 6] = [
    "A man with glasses",
    "A smiling woman with long blond hair on a blue background",
    "A bald man with a full beard, wearing a red t-shirt",
    "A woman with short black hair and sunglasses on a yellow background",
    "A man with gray hair and a moustache in a green jacket",
    "A woman with brown hair on a white background",
];
/// Step counts of the strips, from top to bottom.
pub(super) const STRIP_STEPS: [usize; 3] = [2, 4, 128];
/// Pictures of a strip, at most.
const STRIP_LENGTH: usize = 8;
/// White pixels between pictures.
const GAP: usize = 2;

/// The pictures of a comparison as they come.
#[derive(Default)]
pub(super) struct Pictures {
    /// For every step count, a row of pictures per side.
    sheets: Vec<Vec<Vec<RgbImage>>>,
    /// Rows of all sides.
    strips: Vec<Vec<RgbImage>>,
}

impl Pictures {
    /// Draws the pictures of the next side.
    pub(super) fn draw(&mut self, pipeline: &Pipeline, stop: &AtomicBool) -> Result<()> {
        self.sheets.resize(STEP_COUNTS.len(), Vec::new());
        for (steps, sheet) in STEP_COUNTS.into_iter().zip(&mut self.sheets) {
            let mut row = Vec::new();
            for (index, prompt) in PROMPTS.into_iter().enumerate() {
                row.extend(generate(pipeline, &request(prompt, index, steps), stop)?);
            }
            sheet.push(row);
        }
        for steps in STRIP_STEPS {
            self.strips.push(strip(pipeline, steps, stop)?);
        }
        Ok(())
    }

    /// Writes `sheet-N.png` for every step count, and `strips.png`.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        for (steps, sheet) in STEP_COUNTS.iter().zip(&self.sheets) {
            write_png(&out.join(format!("sheet-{steps}.png")), sheet)?;
        }
        write_png(&out.join("strips.png"), &self.strips)
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
fn strip(
    pipeline: &Pipeline,
    num_steps: usize,
    stop: &AtomicBool,
) -> Result<Vec<RgbImage>, GenerateError> {
    let shown = num_steps.min(STRIP_LENGTH);
    let mut strip = Vec::new();
    pipeline.generate(&request(PROMPTS[0], 0, num_steps), &mut |event| {
        if event.step * shown % num_steps < shown {
            strip.push(event.preview());
        }
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(strip)
}

fn write_png(path: &Path, rows: &[Vec<RgbImage>]) -> Result<()> {
    let bytes = png_bytes(&RgbImage::sheet(rows, GAP), &PngMetadata::default())?;
    write_whole(path, &bytes)
}
