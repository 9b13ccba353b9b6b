//! Settings of the objectives.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::BASE_LEVEL;

/// Which objective, with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// Flow matching alone: every row regresses the velocity x_1 - x_0 at the base level.
    FlowMatching {
        /// How t is drawn.
        #[serde(default)]
        flow_time: FlowTime,
        /// Share of rows trained on the empty caption.
        #[serde(default = "default_cond_dropout_prob")]
        cond_dropout_prob: f64,
    },
    /// Flow matching plus self-consistency.
    Shortcut(ShortcutConfig),
}

/// Settings of the shortcut objective; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShortcutConfig {
    /// Share of the rows trained by self-consistency: 0.25 in the paper, 0.125 in its code.
    pub bootstrap_share: f64,
    /// How these rows are dealt to the levels.
    pub levels: LevelAllocation,
    /// Probability that a row whose level is drawn at random goes to the one-step level d = 1
    /// instead.
    pub one_step_bias: f64,
    /// Fraction of the run after which self-consistency rows begin; flow matching alone before.
    pub bootstrap_start: f64,
    /// How t is drawn for flow-matching rows.
    pub flow_time: FlowTime,
    /// Teacher states and targets are clamped to this magnitude (latents of unit scale).
    pub clip: f64,
    /// Share of flow-matching rows trained on the empty caption.
    pub cond_dropout_prob: f64,
    /// Whether self-consistency rows drop captions too. The reference does not, so that
    /// its few-step samplers know no empty caption.
    pub bootstrap_cond_dropout: bool,
    /// Guidance scale inside the targets of the finest self-consistency level (d = 1/64), from
    /// which all larger steps inherit it; 1 is none.
    pub guidance_scale: f64,
}

/// How self-consistency rows are dealt to the levels k = 0..=6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelAllocation {
    /// The same number of rows for every level, finest first, and the remainder to d = 1.
    #[default]
    Even,
    /// Every row draws its level uniformly.
    Random,
}

/// The distribution of t on flow-matching rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FlowTime {
    /// Uniform on the grid {0, 1/128, ..., 127/128}.
    #[default]
    Grid,
    /// sigmoid(N(mean, std)), with a share of uniform draws from [0, 1) that keeps the ends.
    LogitNormal {
        /// Mean of the normal; negative leans towards noise.
        mean: f64,
        /// Its standard deviation.
        std: f64,
        /// Share of the rows drawn uniformly instead.
        uniform_share: f64,
    },
}

/// An objective that cannot be trained as configured.
#[derive(Debug, Error, PartialEq)]
pub enum ObjectiveError {
    /// A share or probability is out of range.
    #[error("objective: {name} must lie in [0, 1], found {value}")]
    NotAShare {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A number must be positive.
    #[error("objective: {name} must be positive and finite, found {value}")]
    NotPositive {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The batch leaves a level without rows.
    #[error(
        "objective: a share of {share} of {batch_size} rows makes {rows} self-consistency rows, \
         fewer than the {levels} levels; raise the batch size or the share, or set levels = \"random\""
    )]
    TooFewRows {
        /// The configured share.
        share: f64,
        /// Rows of the batch.
        batch_size: usize,
        /// Self-consistency rows among them.
        rows: usize,
        /// Levels to fill.
        levels: usize,
    },
}

impl Default for ShortcutConfig {
    fn default() -> Self {
        Self {
            bootstrap_share: 0.25,
            levels: LevelAllocation::default(),
            one_step_bias: 0.0,
            bootstrap_start: 0.0,
            flow_time: FlowTime::default(),
            clip: 4.0,
            cond_dropout_prob: default_cond_dropout_prob(),
            bootstrap_cond_dropout: false,
            guidance_scale: 1.0,
        }
    }
}

impl ShortcutConfig {
    /// Self-consistency rows in a batch: share x batch size, rounded down.
    pub fn bootstrap_rows(&self, batch_size: usize) -> usize {
        (self.bootstrap_share * batch_size as f64) as usize
    }
}

impl ObjectiveConfig {
    /// Checks the settings against the batch size.
    ///
    /// # Errors
    /// Names the setting that is out of range, or says that a level would get no rows.
    pub fn validate(&self, batch_size: usize) -> Result<(), ObjectiveError> {
        match self {
            Self::FlowMatching { flow_time, cond_dropout_prob } => {
                check_share("cond_dropout_prob", *cond_dropout_prob)?;
                flow_time.validate()
            }
            Self::Shortcut(config) => config.validate(batch_size),
        }
    }
}

impl ShortcutConfig {
    fn validate(&self, batch_size: usize) -> Result<(), ObjectiveError> {
        for (name, value) in [
            ("bootstrap_share", self.bootstrap_share),
            ("one_step_bias", self.one_step_bias),
            ("bootstrap_start", self.bootstrap_start),
            ("cond_dropout_prob", self.cond_dropout_prob),
        ] {
            check_share(name, value)?;
        }
        check_positive("clip", self.clip)?;
        check_positive("guidance_scale", self.guidance_scale)?;
        self.flow_time.validate()?;
        let (rows, levels) = (self.bootstrap_rows(batch_size), BASE_LEVEL as usize);
        if self.levels == LevelAllocation::Even && rows < levels {
            return Err(ObjectiveError::TooFewRows {
                share: self.bootstrap_share,
                batch_size,
                rows,
                levels,
            });
        }
        Ok(())
    }
}

impl FlowTime {
    fn validate(&self) -> Result<(), ObjectiveError> {
        match *self {
            Self::Grid => Ok(()),
            Self::LogitNormal { mean, std, uniform_share } => {
                check_share("uniform_share", uniform_share)?;
                check_positive("flow_time.std", std)?;
                // The mean may be negative; its exponential tells whether it is a number.
                check_positive("exp(flow_time.mean)", mean.exp())
            }
        }
    }
}

fn check_share(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(ObjectiveError::NotAShare { name, value })
    }
}

fn check_positive(name: &'static str, value: f64) -> Result<(), ObjectiveError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(ObjectiveError::NotPositive { name, value })
    }
}

fn default_cond_dropout_prob() -> f64 {
    0.1
}
