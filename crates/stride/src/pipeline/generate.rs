//! What happens between prompt and image, a step at a time.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::{GenerateError, GenerateRequest, Guidance, InitImage, Pipeline};
use crate::context::TextContext;
use crate::floats::floats;
use crate::image::RgbImage;
use crate::network_input::{NetworkInput, NetworkTime, column};
use crate::noise;
use crate::sampler::{GuidancePass, StepPlan, Trajectory};

/// An image on its way from noise to pixels.
///
/// [`Pipeline::start`] makes it, [`Pipeline::advance`] takes a step, and [`Pipeline::finish`]
/// decodes it. Drawings of any requests to one model, with their own prompts, seeds, step counts and
/// guidance, may take their steps together.
#[derive(Debug)]
pub struct Drawing {
    seed: u64,
    prompt: String,
    trajectory: Trajectory,
    texts: Texts,
}

/// What leads a drawing.
#[derive(Clone, Debug)]
struct Texts {
    cfg_scale: f64,
    context: TextContext,
    /// The negative prompt, or the empty caption; absent without guidance.
    negative: Option<TextContext>,
}

/// An image and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedImage {
    /// The image.
    pub image: RgbImage,
    /// Its own seed.
    pub seed: u64,
    /// The prompt that it was drawn from: that of the request, or with what the model added to it.
    pub prompt: String,
}

/// The state after a step of one image.
pub struct StepEvent<'a> {
    /// The image, from 0.
    pub image: usize,
    /// Steps done, from 1.
    pub step: usize,
    /// Steps in all.
    pub num_steps: usize,
    preview: &'a dyn Fn() -> RgbImage,
}

impl StepEvent<'_> {
    /// The image after this step; decoding it takes about as long as a step.
    pub fn preview(&self) -> RgbImage {
        (self.preview)()
    }
}

impl Pipeline {
    /// Draws the images of a request, one after the other.
    ///
    /// The same request gives the same images, and image k of a request is the only image of a
    /// request with seed + k, to the byte: each takes its steps alone, since matrix products of
    /// another batch size may round differently. [`advance`](Self::advance) takes several at once,
    /// which is quicker where the model is small: 16 in 0.6 of the time (RESULTS.md, `denoise_b16`).
    ///
    /// `observer` sees every step and may stop.
    ///
    /// # Errors
    /// The step count is out of range, guidance is not possible with it, the network's output is
    /// not finite, or the observer stopped.
    pub fn generate(
        &self,
        request: &GenerateRequest,
        observer: &mut dyn FnMut(StepEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<GeneratedImage>, GenerateError> {
        let mut images = Vec::new();
        for (image, drawing) in self.start(request)?.enumerate() {
            let mut drawing = drawing?;
            while !drawing.is_done() {
                self.advance([&mut drawing]);
                let event = StepEvent {
                    image,
                    step: drawing.num_done(),
                    num_steps: drawing.num_steps(),
                    preview: &|| self.preview(&drawing),
                };
                if observer(event).is_break() {
                    return Err(GenerateError::Stopped);
                }
            }
            images.push(self.finish(&drawing)?);
        }
        Ok(images)
    }

    /// The images of a request at their noise, each made when it is asked for.
    ///
    /// # Errors
    /// The step count is out of range, guidance is not possible with it, or a prompt cannot be
    /// tokenised.
    pub fn start(
        &self,
        request: &GenerateRequest,
    ) -> Result<impl Iterator<Item = Result<Drawing, GenerateError>>, GenerateError> {
        let texts = self.texts(request)?;
        let plan = StepPlan::new(request.num_steps)?;
        Ok((0..request.count).map(move |image| {
            let seed = request.seed.wrapping_add(image as u64);
            let trajectory = self.parts.index.sampler.start(plan.clone(), self.noise(seed));
            self.drawing(request, &texts, seed, trajectory)
        }))
    }

    /// As [`start`](Self::start), from an image instead of noise alone: its latents are made as noisy as the first
    /// step that is taken expects them, and steps before that are left out.
    ///
    /// # Errors
    /// As [`start`](Self::start); or the image has another size than the model's, or the strength is out of range.
    pub fn start_at_image(
        &self,
        request: &GenerateRequest,
        init: &InitImage,
    ) -> Result<impl Iterator<Item = Result<Drawing, GenerateError>>, GenerateError> {
        let texts = self.texts(request)?;
        let plan = StepPlan::new(request.num_steps)?;
        let num_skipped = init.num_skipped(plan.len())?;
        let RgbImage { width, height, .. } = init.image;
        let expected = self.parts.index.resolution;
        if (width, height) != (expected, expected) {
            return Err(GenerateError::InitImageSize { expected, width, height });
        }
        let pixels = RgbImage::to_tensor(std::slice::from_ref(&init.image), &self.device);
        let x_1 = self.precision.scope(|| self.parts.vae.encode(pixels));
        Ok((0..request.count).map(move |image| {
            let seed = request.seed.wrapping_add(image as u64);
            let (sampler, noise) = (self.parts.index.sampler, self.noise(seed));
            let trajectory = sampler.start_at_data(plan.clone(), x_1.clone(), num_skipped, noise);
            self.drawing(request, &texts, seed, trajectory)
        }))
    }

    /// An image between the first ones of two requests: of noise between theirs and of a prompt between theirs.
    /// `fraction`, from 0 to 1, is 0 at `a`, whose steps, guidance scale and negative prompt it has.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_between(
        &self,
        a: &GenerateRequest,
        b: &GenerateRequest,
        fraction: f64,
    ) -> Result<Drawing, GenerateError> {
        let mut texts = self.texts(a)?;
        let (prompt, from) = self.complete(a, &texts.context, a.seed)?;
        let (_, to) = self.complete(b, &self.encode_text(&b.prompt)?, b.seed)?;
        texts.context = TextContext::between(&from, &to, fraction);
        let (device, shape) = (self.device.clone(), self.latent_shape());
        let seeds = [a.seed, b.seed];
        let noise =
            move |step| noise::gaussian_between(seeds, fraction, step, shape, &device).unsqueeze();
        let plan = StepPlan::new(a.num_steps)?;
        let trajectory = self.parts.index.sampler.start(plan, noise);
        Ok(Drawing { seed: a.seed, prompt, trajectory, texts })
    }

    /// A drawing of the prompt as the seed completes it.
    fn drawing(
        &self,
        request: &GenerateRequest,
        texts: &Texts,
        seed: u64,
        trajectory: Trajectory,
    ) -> Result<Drawing, GenerateError> {
        let (prompt, context) = self.complete(request, &texts.context, seed)?;
        Ok(Drawing { seed, prompt, trajectory, texts: Texts { context, ..texts.clone() } })
    }

    /// What the prompts of a request become, as typed.
    fn texts(&self, request: &GenerateRequest) -> Result<Texts, GenerateError> {
        let is_guided = self.check_guidance(request, &StepPlan::new(request.num_steps)?)?;
        let context = self.encode_text(&request.prompt)?;
        let negative = if is_guided {
            Some(self.encode_text(request.negative_prompt.as_deref().unwrap_or_default())?)
        } else {
            None
        };
        Ok(Texts { cfg_scale: request.cfg_scale, context, negative })
    }

    /// The noise of an image, by step.
    fn noise(&self, seed: u64) -> impl Fn(u64) -> Tensor<4> + Send + 'static {
        let (device, shape) = (self.device.clone(), self.latent_shape());
        move |step| noise::gaussian_at_step(seed, step, shape, &device).unsqueeze()
    }

    fn latent_shape(&self) -> [usize; 3] {
        self.parts.vae_config.latent_shape(self.parts.index.resolution)
    }

    /// Advances every drawing that is not done by a step, in one forward pass of the transformer.
    ///
    /// Rows of a batch do not see each other, but may be rounded differently than alone. So a
    /// drawing by itself has one row a pass even where two passes guide it, and its image does not
    /// depend on the kernels for batches.
    pub fn advance<'a>(&self, drawings: impl IntoIterator<Item = &'a mut Drawing>) {
        let guidance = self.parts.index.guidance;
        let mut drawings: Vec<_> =
            drawings.into_iter().filter(|drawing| !drawing.is_done()).collect();
        if drawings.is_empty() {
            return;
        }
        let rows: Vec<Vec<Row<'_>>> =
            drawings.iter().map(|drawing| drawing.next_rows(guidance)).collect();
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let rows = rows.concat();
        let rows_per_pass = if drawings.len() == 1 { 1 } else { rows.len() };
        let passes = rows.chunks(rows_per_pass).map(|rows| self.forward(rows));
        let velocities = self.precision.scope(|| Tensor::cat(passes.collect(), 0));
        let mut first = 0;
        for (drawing, count) in drawings.iter_mut().zip(counts) {
            drawing.advance(velocities.clone().narrow(0, first, count));
            first += count;
        }
    }

    fn forward(&self, rows: &[Row<'_>]) -> Tensor<4> {
        let x_t = Tensor::cat(rows.iter().map(|row| row.x_t.clone()).collect(), 0);
        let times: Vec<NetworkTime> = rows.iter().map(|row| row.time).collect();
        let is_guided = rows.iter().any(|row| row.guidance_scale != 1.0);
        let input = NetworkInput {
            guidance_scale: is_guided.then(|| column(rows, |row| row.guidance_scale, &self.device)),
            ..NetworkInput::at_times(x_t, &times)
        };
        let context = TextContext::cat(rows.iter().map(|row| row.context));
        self.parts.dit.forward_guided(input, &context)
    }

    /// Decodes a drawing as it is now, which takes about as long as a step.
    pub fn preview(&self, drawing: &Drawing) -> RgbImage {
        let latents = drawing.trajectory.state().clone();
        RgbImage::from_tensor(self.decode(latents)).swap_remove(0)
    }

    /// Decodes a drawing that is done.
    ///
    /// # Errors
    /// The network's output is not finite.
    pub fn finish(&self, drawing: &Drawing) -> Result<GeneratedImage, GenerateError> {
        let seed = drawing.seed;
        let latents = drawing.trajectory.state().clone();
        let pixels = self.decode(latents.clone());
        // Decoders squeeze their input, which would hide that the latents are infinite.
        if !(is_finite(latents) && is_finite(pixels.clone())) {
            return Err(GenerateError::NotFinite { seed });
        }
        let (image, prompt) =
            (RgbImage::from_tensor(pixels).swap_remove(0), drawing.prompt.clone());
        Ok(GeneratedImage { image, seed, prompt })
    }

    fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.precision.scope(|| self.parts.vae.decode(latents))
    }
}

/// What the network is asked in one row of a batch.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// `[1, C, H, W]`
    x_t: &'a Tensor<4>,
    time: NetworkTime,
    guidance_scale: f64,
    context: &'a TextContext,
}

impl Drawing {
    /// The seed of its noise.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The prompt that it is drawn from: that of the request, or with what the model added to it.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Steps done, and those that an image to begin with left out.
    pub fn num_done(&self) -> usize {
        self.trajectory.num_done()
    }

    /// Steps in all.
    pub fn num_steps(&self) -> usize {
        self.trajectory.num_steps()
    }

    /// Whether all of its steps are done.
    pub fn is_done(&self) -> bool {
        self.trajectory.time().is_none()
    }

    /// The rows of its next step: the prompt's, then the negative prompt's where two passes guide it;
    /// none after the last step.
    fn next_rows(&self, guidance: Guidance) -> Vec<Row<'_>> {
        let Some(time) = self.trajectory.time() else { return Vec::new() };
        let x_t = self.trajectory.state();
        let row = |context, guidance_scale| Row { x_t, time, guidance_scale, context };
        match (&self.texts.negative, guidance.pass(time)) {
            (None, _) => vec![row(&self.texts.context, 1.0)],
            (Some(_), GuidancePass::ScaleInput) => {
                vec![row(&self.texts.context, self.texts.cfg_scale)]
            }
            (Some(negative), _) => vec![row(&self.texts.context, 1.0), row(negative, 1.0)],
        }
    }

    /// Takes a step with the velocities of its rows.
    fn advance(&mut self, velocities: Tensor<4>) {
        let row = |index| velocities.clone().narrow(0, index, 1);
        let velocity = match velocities.dims()[0] {
            1 => row(0),
            _ => row(1) + (row(0) - row(1)) * self.texts.cfg_scale,
        };
        self.trajectory.advance(velocity);
    }
}

fn is_finite(values: Tensor<4>) -> bool {
    // Without a way out in the middle, since several at a time are quicker.
    !floats(values).iter().fold(false, |any, value| any | !value.is_finite())
}
