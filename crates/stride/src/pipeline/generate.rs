//! What happens between prompt and image.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::{GenerateError, Guidance, Pipeline};
use crate::context::TextContext;
use crate::floats::floats;
use crate::image::RgbImage;
use crate::noise;
use crate::objective::NetworkInput;
use crate::sampler::{GuidancePass, NetworkTime, StepPlan};
use crate::tokenizer::TokenizerError;

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What the image shows; empty is unconditional.
    pub prompt: String,
    /// What guidance leads away from; the empty caption if absent.
    pub negative_prompt: Option<String>,
    /// Steps, 1..=128.
    pub num_steps: usize,
    /// Strength w of guidance, v_null + w (v_prompt - v_null); 1 is none and half the work.
    pub cfg_scale: f64,
    /// Seed of the first image; image k has seed + k.
    pub seed: u64,
    /// Number of images.
    pub count: usize,
}

/// An image and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedImage {
    /// The image.
    pub image: RgbImage,
    /// Its own seed.
    pub seed: u64,
}

/// What the model makes of a prompt's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptReport {
    /// Words it never saw in training, each once.
    pub unknown_words: Vec<String>,
    /// Tokens that were cut off because the prompt is too long.
    pub dropped_tokens: usize,
    /// The end of the prompt that they stand for.
    pub dropped_text: String,
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
    /// request with seed + k, to the byte: images are never computed together. On the CPU that
    /// costs nothing, since eight together take as long as eight in turn; elsewhere the matrix
    /// products of another batch size may round differently.
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
        self.precision.scope(|| self.draw(request, observer))
    }

    fn draw(
        &self,
        request: &GenerateRequest,
        observer: &mut dyn FnMut(StepEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<GeneratedImage>, GenerateError> {
        let plan = StepPlan::new(request.num_steps)?;
        let guided = self.check_guidance(request, &plan)?;
        let context = self.encode_text(&request.prompt)?;
        let null_context = match guided {
            true => Some(self.encode_text(request.negative_prompt.as_deref().unwrap_or(""))?),
            false => None,
        };
        let latent_shape = self.parts.vae_config.latent_shape(self.parts.index.resolution);

        let mut images = Vec::new();
        for image in 0..request.count {
            let seed = request.seed.wrapping_add(image as u64);
            let noise = |step| {
                noise::gaussian_at_step(seed, step, latent_shape, &self.device).unsqueeze::<4>()
            };
            let network = |x: Tensor<4>, time: NetworkTime| {
                let ask = |x, scale, context| self.answer(x, time, scale, context);
                match (&null_context, self.parts.index.guidance.pass(time)) {
                    (Some(_), GuidancePass::ScaleInput) => ask(x, request.cfg_scale, &context),
                    (Some(null), _) => {
                        let v = ask(x.clone(), 1.0, &context);
                        let v_null = ask(x, 1.0, null);
                        v_null.clone() + (v - v_null) * request.cfg_scale
                    }
                    (None, _) => ask(x, 1.0, &context),
                }
            };
            let x_1 = self.parts.index.sampler.sample(&plan, noise, network, |state| {
                let preview = || self.decode(state.x.clone());
                let (step, num_steps) = (state.step, state.num_steps);
                observer(StepEvent { image, step, num_steps, preview: &preview })
            });
            let x_1 = x_1.ok_or(GenerateError::Stopped)?;
            let pixels = self.parts.vae.decode(x_1.clone());
            // Decoders squeeze their input, which would hide that the latents are infinite.
            if !(is_finite(x_1) && is_finite(pixels.clone())) {
                return Err(GenerateError::NotFinite { seed });
            }
            let drawn = RgbImage::from_tensor(pixels).into_iter();
            images.extend(drawn.map(|image| GeneratedImage { image, seed }));
        }
        Ok(images)
    }

    /// What the model makes of a prompt's words.
    ///
    /// # Errors
    /// The prompt cannot be tokenised.
    pub fn prompt_report(&self, prompt: &str) -> Result<PromptReport, TokenizerError> {
        let tokens = self.tokenizer.encode(prompt)?;
        Ok(PromptReport {
            unknown_words: self.parts.vocabulary.map(&tokens).unknown_words,
            dropped_tokens: tokens.dropped_tokens,
            dropped_text: tokens.dropped_text.trim().to_owned(),
        })
    }

    /// Whether the request is guided; an error where the model does not know how.
    fn check_guidance(
        &self,
        request: &GenerateRequest,
        plan: &StepPlan,
    ) -> Result<bool, GenerateError> {
        let scale = request.cfg_scale;
        if !scale.is_finite() || scale < 0.0 {
            return Err(GenerateError::GuidanceScale(scale));
        }
        let guided = scale != 1.0;
        let is_negative = request.negative_prompt.is_some();
        if !(guided || is_negative) {
            return Ok(false);
        }
        let steps = plan.len();
        let times = self.parts.index.sampler.times(plan);
        let any = |pass| times.iter().any(|&time| self.parts.index.guidance.pass(time) == pass);
        match self.parts.index.guidance {
            Guidance::Never => Err(GenerateError::NoGuidance),
            Guidance::ScaleInput { .. } if is_negative && any(GuidancePass::ScaleInput) => {
                Err(GenerateError::NegativePrompt { steps })
            }
            Guidance::ScaleInput { max_scale: max }
                if any(GuidancePass::ScaleInput) && !(1.0..=max).contains(&scale) =>
            {
                Err(GenerateError::GuidanceRange { scale, max })
            }
            _ if any(GuidancePass::Unknown) => Err(GenerateError::Guidance { steps }),
            _ => Ok(guided),
        }
    }

    fn encode_text(&self, text: &str) -> Result<TextContext, TokenizerError> {
        let tokens = self.tokenizer.encode(text)?;
        let token_ids = self.parts.vocabulary.batch(&[tokens], &self.device);
        Ok(self.parts.text_encoder.forward(token_ids))
    }

    fn answer(
        &self,
        x_t: Tensor<4>,
        time: NetworkTime,
        guidance_scale: f64,
        context: &TextContext,
    ) -> Tensor<4> {
        let column = |value: f64| Tensor::<1>::full([1], value, &self.device);
        let (t, log2_steps) = (column(time.t), column(time.log2_steps));
        let guidance_scale = (guidance_scale != 1.0).then(|| column(guidance_scale));
        let input = NetworkInput { x_t, t, log2_steps, guidance_scale };
        self.parts.dit.forward_guided(input, context)
    }

    fn decode(&self, latents: Tensor<4>) -> RgbImage {
        let mut images = RgbImage::from_tensor(self.parts.vae.decode(latents));
        images.swap_remove(0)
    }
}

fn is_finite(values: Tensor<4>) -> bool {
    // Without a way out in the middle, since several at a time are quicker.
    !floats(values).iter().fold(false, |any, value| any | !value.is_finite())
}
