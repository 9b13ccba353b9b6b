//! The images of a report: the same noise at every step count, and the way from noise to image.

use stride::image::RgbImage;

use super::draw::Studio;
use super::study::Study;
use crate::page::{GAP, STRIP_STEPS, is_in_strip, jpeg, tile};

/// Prompts of the grid.
const PROMPTS: usize = 6;

/// Images as JPEG files.
pub(super) struct Gallery {
    /// The captions of the grid's rows.
    pub(super) prompts: Vec<String>,
    /// A row for each caption, an image for each step count.
    pub(super) grid: Vec<Vec<Vec<u8>>>,
    /// The grid in one file.
    pub(super) sheet: Vec<u8>,
    /// Steps, and the images after some of them.
    pub(super) strips: Vec<(usize, Vec<Vec<u8>>)>,
    /// The failures of every study.
    pub(super) failures: Vec<Vec<Vec<u8>>>,
}

impl Gallery {
    /// Draws the images again that a report shows.
    pub(super) fn draw(studio: &Studio<'_>, studies: &[Study]) -> anyhow::Result<Self> {
        let images = &studio.data[0].folder.images;
        let prompts: Vec<String> =
            images.iter().take(PROMPTS).map(|image| image.captions[0].clone()).collect();
        let mut tiles = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            let row = studio.job.steps.iter().map(|&steps| studio.draw(0, prompt, index, steps));
            tiles.push(row.map(|image| Ok(tile(&image?))).collect::<anyhow::Result<Vec<_>>>()?);
        }
        let mut strips = Vec::new();
        for steps in STRIP_STEPS {
            strips.push((steps, strip(studio, &prompts[0], steps)?));
        }
        let failures = studies.iter().map(|study| {
            let images = study.failures.iter().map(|failure| {
                jpeg(&tile(&studio.draw(0, &failure.caption, failure.index, failure.steps)?))
            });
            images.collect::<anyhow::Result<Vec<_>>>()
        });
        let failures = failures.collect::<anyhow::Result<_>>()?;
        let grid = tiles.iter().map(|row| row.iter().map(jpeg).collect::<anyhow::Result<_>>());
        Ok(Self {
            grid: grid.collect::<anyhow::Result<_>>()?,
            sheet: jpeg(&RgbImage::sheet(&tiles, GAP))?,
            prompts,
            strips,
            failures,
        })
    }
}

/// States on the way of image 0, evenly spaced; the last one is the image.
fn strip(studio: &Studio<'_>, prompt: &str, num_steps: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut states = Vec::new();
    studio.draw_seen(0, prompt, 0, num_steps, &mut |event| {
        if is_in_strip(event.step, num_steps) {
            states.push(tile(&event.preview()));
        }
    })?;
    states.iter().map(jpeg).collect()
}
