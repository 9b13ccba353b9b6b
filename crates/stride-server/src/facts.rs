//! What is told about the model.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use stride::objective::BASE_STEPS;
use stride::pipeline::{GenerateRequest, Guidance, MAX_CFG_SCALE, Pipeline};
use utoipa::ToSchema;

/// The model and what it can do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Facts {
    /// Its name.
    pub(crate) model: String,
    /// Which begins the hash of its weights.
    pub(crate) model_hash: String,
    /// What it draws; may be empty.
    pub(crate) description: String,
    /// Width and height of its images.
    pub(crate) resolution: usize,
    /// Steps when none are asked for.
    pub(crate) default_steps: usize,
    /// Guidance scale when none is asked for; 1 is no guidance.
    pub(crate) default_guidance_scale: f64,
    /// Where it can be guided.
    pub(crate) guidance: GuidanceFacts,
    /// Whether it chooses what a prompt leaves open, unless `as_typed` is set.
    pub(crate) completes_prompts: bool,
    /// When the server began, in seconds since 1970.
    pub(crate) started: u64,
    /// Tokens that the transformer draws an image with.
    #[serde(skip)]
    pub(crate) image_tokens: usize,
}

/// Where a model can be guided.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct GuidanceFacts {
    /// The step counts at which a guidance scale other than 1 is possible.
    pub(crate) steps: Vec<usize>,
    /// The step counts at which a negative prompt is possible.
    pub(crate) negative_prompt_steps: Vec<usize>,
    /// The smallest scale.
    pub(crate) min_scale: f64,
    /// The largest scale.
    pub(crate) max_scale: f64,
}

impl Facts {
    /// What the pipeline says, and what it answers when it is asked.
    pub(crate) fn of(pipeline: &Pipeline, hash: &str) -> Self {
        let index = pipeline.index();
        let (min_scale, max_scale) = match index.guidance {
            Guidance::ScaleInput { max_scale, .. } => (1.0, max_scale),
            _ => (0.0, MAX_CFG_SCALE),
        };
        let guidance = GuidanceFacts {
            steps: step_counts(pipeline, max_scale, None),
            negative_prompt_steps: step_counts(pipeline, max_scale, Some("")),
            min_scale,
            max_scale,
        };
        let dit = pipeline.parts().dit.config();
        Self {
            model: index.name.clone(),
            model_hash: hash.to_owned(),
            description: index.description.clone(),
            resolution: index.resolution,
            default_steps: index.default_steps,
            default_guidance_scale: index.default_cfg_scale,
            guidance,
            completes_prompts: pipeline.parts().completion.is_some(),
            started: seconds_since_1970(),
            image_tokens: (dit.input_size / dit.patch_size.max(1)).pow(2),
        }
    }
}

/// The step counts at which the model can be guided.
fn step_counts(pipeline: &Pipeline, cfg_scale: f64, negative_prompt: Option<&str>) -> Vec<usize> {
    let is_possible = |&num_steps: &usize| {
        let request = GenerateRequest {
            prompt: String::new(),
            negative_prompt: negative_prompt.map(str::to_owned),
            num_steps,
            cfg_scale,
            seed: 0,
            count: 1,
            as_typed: true,
        };
        pipeline.check(&request).is_ok()
    };
    (1..=BASE_STEPS).filter(is_possible).collect()
}

/// The time as OpenAI's service tells it.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
