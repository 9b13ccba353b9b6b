//! What the transformer is trained to predict.
//!
//! An [`Objective`] plans the rows of a batch, turns noise and latents into [`TrainingTargets`],
//! and says how the trained model is sampled. The trainer takes a weighted mean squared error and
//! knows no more about it. Each objective is a file here, with its settings.

mod assignment;
mod consistency;
mod contract;
mod cost;
mod data_anchored;
mod diffusion;
mod error;
mod flow_matching;
mod flow_time;
mod mean_flow;
mod path;
mod row;
mod shortcut;
mod targets;

use std::ops::Deref;

use serde::{Deserialize, Serialize};

pub use consistency::ConsistencyConfig;
pub use contract::{Batch, Conditioning, Network, NetworkInput, Objective, Teacher};
pub use cost::passes_per_row;
pub use data_anchored::{AnchorWeighting, DataAnchoredConfig, TargetGuidance};
pub use diffusion::{DiffusionConfig, DiffusionSampler};
pub use error::ObjectiveError;
pub use flow_matching::FlowMatchingConfig;
pub use flow_time::FlowTime;
pub use mean_flow::MeanFlowConfig;
pub use row::{Row, RowKind};
pub use shortcut::{LevelAllocation, NoisePairing, ShortcutConfig};
pub use targets::{LossWeight, TrainingTargets};

/// The number of steps of the finest sampler; its step size stands for d = 0.
pub const BASE_STEPS: usize = 128;

/// log2 of [`BASE_STEPS`]: the level k of the flow-matching rows. Levels k = 0..=6 are trained
/// by self-consistency.
pub const BASE_LEVEL: u32 = BASE_STEPS.ilog2();

/// The level k = -log2 d of a step size in (0, 1]; sizes below 1/128 count as d = 0.
pub fn step_level(size: f64) -> f64 {
    (-size.log2()).min(f64::from(BASE_LEVEL))
}

/// Lists the objectives: the name in a configuration is the variant's in snake case.
macro_rules! objectives {
    ($($(#[$doc:meta])* $variant:ident($config:ty),)*) => {
        /// Which objective, with its settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum ObjectiveConfig {
            $($(#[$doc])* $variant($config),)*
        }

        impl Deref for ObjectiveConfig {
            type Target = dyn Objective;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$variant(config) => config,)*
                }
            }
        }
    };
}

objectives! {
    /// Predict the noise of a diffusion process.
    Diffusion(DiffusionConfig),
    /// Flow matching alone.
    FlowMatching(FlowMatchingConfig),
    /// Flow matching plus self-consistency of two half steps.
    Shortcut(ShortcutConfig),
    /// Flow matching plus steps that begin with the data's velocity.
    DataAnchored(DataAnchoredConfig),
    /// Flow matching plus the identity of mean velocities.
    MeanFlow(MeanFlowConfig),
    /// Neighbouring points of a path predict the same data.
    Consistency(ConsistencyConfig),
}

/// What did best at 1 to 8 steps for the same compute (RESULTS.md).
impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::MeanFlow(MeanFlowConfig::default())
    }
}
