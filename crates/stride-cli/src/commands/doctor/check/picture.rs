//! One picture of a model, drawn on a device and on the processor.

use std::ops::ControlFlow;

use anyhow::Result;
use burn::tensor::Device;
use serde::Serialize;
use stride::pipeline::GenerateRequest;
use stride_models::Model;

/// How much a colour may differ, of 255.
const TOLERANCE: u8 = 2;

/// The verdict on the picture.
#[derive(Debug, Serialize)]
pub(super) struct PictureVerdict {
    pub(super) prompt: String,
    pub(super) steps: usize,
    /// The largest difference of a colour, of 255.
    pub(super) error: u8,
    pub(super) passed: bool,
}

/// Draws with the model inside the program; none where there is none.
///
/// # Errors
/// The model is damaged, or a picture is no picture.
pub(super) fn check(device: &Device) -> Result<Option<PictureVerdict>> {
    if !cfg!(feature = "embedded-model") {
        return Ok(None);
    }
    let request = GenerateRequest {
        prompt: "a man with glasses".to_owned(),
        negative_prompt: None,
        num_steps: 4,
        cfg_scale: 1.0,
        seed: 1,
        count: 1,
        as_typed: true,
    };
    let draw = |device: &Device| -> Result<Vec<u8>> {
        let Model { pipeline, .. } = Model::load(None, device)?;
        let images = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()))?;
        Ok(images.into_iter().flat_map(|image| image.image.pixels).collect())
    };
    let (expected, found) = (draw(&Device::flex())?, draw(device)?);
    let pairs = expected.iter().zip(&found);
    let error = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u8::MAX);
    let passed = error <= TOLERANCE && expected.len() == found.len();
    Ok(Some(PictureVerdict { prompt: request.prompt, steps: request.num_steps, error, passed }))
}
