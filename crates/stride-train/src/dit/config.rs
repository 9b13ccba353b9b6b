//! Settings of transformer training.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::objective::{ObjectiveConfig, Teacher};
use stride::sampler::{Guidance, MAX_CFG_SCALE, StepPlan};
use stride_kernels::gemm::Compute;

use super::init::DitInitConfig;
use super::samples::COLUMNS;
use crate::error::{check, check_size};
use crate::memory::MAX_BATCH;

/// Settings of transformer training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitTrainConfig {
    /// Rows of a batch.
    pub batch_size: usize,
    /// Folder of the autoencoder: `config.json` and its weights.
    pub autoencoder: PathBuf,
    /// Folder for the latents of `data.dir`, brought up to date at the beginning; none with `data.prepared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent_cache: Option<PathBuf>,
    /// What is learned.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// The transformer; `input_size`, `in_channels` and `context_dim` must fit its neighbours.
    pub model: DitConfig,
    /// The text encoder; `vocab_size` and `eos_token_id` are set from the captions. Absent where `init` names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_encoder: Option<ClipTextConfig>,
    /// The model of a run that trained a text encoder with phrases: what completes the prompts of the exported model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<PathBuf>,
    /// Trained networks to start from.
    #[serde(default, skip_serializing_if = "DitInitConfig::is_empty")]
    pub init: DitInitConfig,
    /// Name of the average that gives self-consistency targets.
    #[serde(default = "default_teacher")]
    pub teacher: String,
    /// Name of the average that is evaluated and exported; the plain weights if absent.
    pub export: Option<String>,
    /// Prompts of the sheets of samples that reports have; if absent, some about faces and captions of held-out images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample_prompts: Vec<String>,
    /// Name of the exported model.
    #[serde(default = "default_name")]
    pub name: String,
    /// Steps of the exported model when none are asked for.
    #[serde(default = "default_steps")]
    pub default_steps: usize,
    /// Guidance scale of the exported model when none is asked for.
    #[serde(default = "default_cfg_scale")]
    pub default_cfg_scale: f64,
}

fn default_name() -> String {
    "stride".to_owned()
}

fn default_steps() -> usize {
    4
}

fn default_cfg_scale() -> f64 {
    1.0
}

fn default_teacher() -> String {
    "teacher".to_owned()
}

impl DitTrainConfig {
    pub(crate) fn validate(&self, compute: Compute, ema_names: &[&str]) -> Result<(), String> {
        check_size("dit.batch_size", self.batch_size, MAX_BATCH)?;
        let most = "12 at most, the columns of a sheet";
        check(self.sample_prompts.len() <= COLUMNS, "dit.sample_prompts", most)?;
        let fits = StepPlan::new(self.default_steps).is_ok();
        check(fits, "dit.default_steps", &format!("1 to 128, found {}", self.default_steps))?;
        let scale = self.default_cfg_scale;
        check((0.0..=MAX_CFG_SCALE).contains(&scale), "dit.default_cfg_scale", "0 to 100")?;
        if let Some(text_encoder) = &self.text_encoder {
            // Its vocabulary comes with the captions.
            let config = ClipTextConfig { eos_token_id: 0, ..text_encoder.clone() };
            config.validate().map_err(|error| format!("dit.text_encoder: {error}"))?;
        }
        self.objective
            .validate(self.batch_size)
            .and_then(|()| self.objective.validate_compute(compute))
            .map_err(|e| format!("dit.objective: {e}"))?;
        self.model.validate().map_err(|e| format!("dit.model: {e}"))?;
        if self.objective.teacher() == Teacher::Average {
            let known = ema_names.contains(&self.teacher.as_str());
            check(known, "dit.teacher", "the name of an entry of [[ema]]")?;
        }
        let guidance = self.objective.guidance();
        check(
            self.default_cfg_scale == 1.0 || guidance.is_sound_at_any_step_count(),
            "dit.default_cfg_scale",
            "1, unless dit.objective teaches the empty caption at every step size \
             (for shortcut: bootstrap_cond_dropout)",
        )?;
        if let Guidance::ScaleInput { max_scale, .. } = guidance {
            let scales = format!("1 to {max_scale}, the scales that dit.objective trains");
            check((1.0..=max_scale).contains(&scale), "dit.default_cfg_scale", &scales)?;
        }
        check(
            self.model.guidance_input == guidance.needs_scale_input(),
            "dit.model.guidance_input",
            "true where dit.objective makes the guidance scale an input, and false elsewhere",
        )?;
        check(
            self.model.velocity_head == self.objective.needs_velocity_head(),
            "dit.model.velocity_head",
            "true where dit.objective trains a second output (mean_flow with tangent = \"predicted\"), and false \
             elsewhere",
        )?;
        let known = self.export.as_deref().is_none_or(|name| ema_names.contains(&name));
        check(known, "dit.export", "the name of an entry of [[ema]]")?;
        check(
            self.text_encoder.is_some() != self.init.text_encoder.is_some(),
            "dit",
            "either a section [dit.text_encoder] or init.text_encoder, a folder",
        )?;
        // Of a folder, the width is known when it is read.
        let Some(text_encoder) = &self.text_encoder else { return Ok(()) };
        let width = text_encoder.pooled_size();
        check(
            self.model.context_dim == width,
            "dit.model.context_dim",
            &format!("{width}, the width of the text encoder's output"),
        )
    }
}
