//! What a pipeline is asked to draw, and whether its model can.

use super::emphasis::without_emphasis;
use super::{GenerateError, Guidance, Pipeline};
use crate::context::TextContext;
use crate::image::RgbImage;
use crate::sampler::{GuidancePass, MAX_CFG_SCALE, StepPlan};
use crate::tokenizer::TokenizerError;

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What the image shows; empty is unconditional.
    pub prompt: String,
    /// The negative prompt, which takes the place of the empty caption in guidance.
    pub negative_prompt: Option<String>,
    /// Steps, 1..=128.
    pub num_steps: usize,
    /// The guidance scale w of v_null + w (v_prompt - v_null), in 0..=100; 1 disables guidance and halves the cost.
    pub cfg_scale: f64,
    /// Seed of the first image; image k has seed + k.
    pub seed: u64,
    /// Number of images.
    pub count: usize,
    /// Whether the prompt is drawn as it is, and not [completed](crate::completion::Completion) by a model that could; with a
    /// negative prompt it always is.
    pub as_typed: bool,
}

impl GenerateRequest {
    /// The prompt that an image was drawn from, where it is not the one that was typed.
    pub fn completed<'a>(&self, drawn_from: &'a str) -> Option<&'a str> {
        (drawn_from != self.prompt).then_some(drawn_from)
    }
}

/// An image that a drawing begins with, instead of noise alone.
#[derive(Clone, Debug, PartialEq)]
pub struct InitImage {
    /// A square of the model's resolution.
    pub image: RgbImage,
    /// How much of the way from noise to image is drawn anew, in (0, 1]: of n steps the last round(n strength), at least one.
    pub strength: f64,
}

impl InitImage {
    /// How many of the first steps are left out.
    ///
    /// # Errors
    /// The strength is out of range.
    pub fn num_skipped(&self, num_steps: usize) -> Result<usize, GenerateError> {
        if !(self.strength > 0.0 && self.strength <= 1.0) {
            return Err(GenerateError::Strength(self.strength));
        }
        let taken = (num_steps as f64 * self.strength).round() as usize;
        Ok(num_steps - taken.clamp(1, num_steps))
    }
}

impl Pipeline {
    /// The most rows of a forward pass that an image of the request takes at a step.
    ///
    /// # Errors
    /// The model cannot draw the request: the step count is out of range, or guidance is not possible with it.
    pub fn check(&self, request: &GenerateRequest) -> Result<usize, GenerateError> {
        let plan = StepPlan::new(request.num_steps)?;
        let is_guided = self.check_guidance(request, &plan)?;
        let index = &self.parts.index;
        let times = index.sampler.times(&plan);
        let takes_two = |&time| index.guidance.pass(time) == GuidancePass::TwoPasses;
        Ok(if is_guided && times.iter().any(takes_two) { 2 } else { 1 })
    }

    /// Whether the request is guided; an error where the model does not know how.
    pub(super) fn check_guidance(
        &self,
        request: &GenerateRequest,
        plan: &StepPlan,
    ) -> Result<bool, GenerateError> {
        let scale = request.cfg_scale;
        if !(0.0..=MAX_CFG_SCALE).contains(&scale) {
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
            Guidance::ScaleInput { at_base_level: true, .. } if is_negative => {
                Err(GenerateError::NoNegativePrompt)
            }
            Guidance::ScaleInput { .. } if is_negative && any(GuidancePass::ScaleInput) => {
                Err(GenerateError::NegativePrompt { steps })
            }
            Guidance::ScaleInput { max_scale: max, .. }
                if any(GuidancePass::ScaleInput) && !(1.0..=max).contains(&scale) =>
            {
                Err(GenerateError::GuidanceRange { scale, max })
            }
            _ if any(GuidancePass::Unknown) => Err(GenerateError::Guidance { steps }),
            _ => Ok(guided),
        }
    }

    /// The prompt that the image of `seed` is drawn from, with its context; `context` is that of the prompt as typed.
    pub(super) fn complete(
        &self,
        request: &GenerateRequest,
        context: &TextContext,
        seed: u64,
    ) -> Result<(String, TextContext), TokenizerError> {
        let as_typed = || (request.prompt.clone(), context.clone());
        let Some(completion) = &self.parts.completion else { return Ok(as_typed()) };
        // What a negative prompt excludes must not be chosen, and the completion does not read it.
        if request.as_typed || request.negative_prompt.is_some() {
            return Ok(as_typed());
        }
        let prompt = without_emphasis(&request.prompt);
        let tokens = self.tokenizer.encode(&prompt)?;
        let completed = self.precision.scope(|| completion.complete(&prompt, &tokens, seed));
        match completed {
            None => Ok(as_typed()),
            Some(completed) => {
                let context = self.encode_text(&completed)?;
                Ok((completed, context))
            }
        }
    }

    /// The context of one prompt.
    pub(super) fn encode_text(&self, text: &str) -> Result<TextContext, TokenizerError> {
        let tokens = self.tokenizer.encode(&without_emphasis(text))?;
        let token_ids = self.parts.vocabulary.batch(&[tokens], &self.device);
        Ok(self.precision.scope(|| self.parts.text_encoder.forward(token_ids)))
    }
}
