//! What a pipeline is asked to draw, and whether its model can.

use super::{GenerateError, Guidance, Pipeline};
use crate::context::TextContext;
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

impl Pipeline {
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

    /// The context of one prompt.
    pub(super) fn encode_text(&self, text: &str) -> Result<TextContext, TokenizerError> {
        let tokens = self.tokenizer.encode(text)?;
        let token_ids = self.parts.vocabulary.batch(&[tokens], &self.device);
        Ok(self.precision.scope(|| self.parts.text_encoder.forward(token_ids)))
    }
}
