//! Settings of text encoder training.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stride::text::QueryTextConfig;

use crate::error::{check, check_size};
use crate::memory::MAX_BATCH;

/// Settings of text encoder training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEncoderTrainConfig {
    /// Captions in a batch.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// The text encoder; `vocab_size` and `eos_token_id` are set from the captions, `num_queries` from the attributes.
    #[serde(default)]
    pub model: QueryTextConfig,
    /// Fraction of the tokens that training shows as unknown words, drawn anew at every visit, so that words which no
    /// caption had do no harm later.
    #[serde(default)]
    pub unknown_fraction: f64,
    /// For every attribute a phrase for each of its values, by which a model completes prompts that leave the attribute open
    /// (`hair_color.black = "black hair"`); `""` where nothing needs to be said. Without any, prompts stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phrases: BTreeMap<String, BTreeMap<String, String>>,
    /// Name of the average that is evaluated and exported; the plain weights if absent.
    pub export: Option<String>,
}

fn default_batch_size() -> usize {
    256
}

impl TextEncoderTrainConfig {
    pub(crate) fn validate(&self, ema_names: &[&str]) -> Result<(), String> {
        check_size("text_encoder.batch_size", self.batch_size, MAX_BATCH)?;
        let fits = (0.0..1.0).contains(&self.unknown_fraction);
        check(fits, "text_encoder.unknown_fraction", "in [0, 1)")?;
        let known = self.export.as_deref().is_none_or(|name| ema_names.contains(&name));
        check(known, "text_encoder.export", "the name of an entry of [[ema]]")?;
        // Its vocabulary comes with the captions.
        let model = QueryTextConfig { eos_token_id: 0, ..self.model.clone() };
        model.validate().map_err(|error| format!("text_encoder.model: {error}"))
    }
}
