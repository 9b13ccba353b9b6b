//! What the transformer is trained to predict.
//!
//! Noise x_0 and data x_1 are the ends of a straight path, x_t = (1 - t) x_0 + t x_1, with velocity
//! v = x_1 - x_0. The network answers s(x_t, t, d), the mean velocity of a step of size d from t on;
//! d = 2^-k enters as its level k, and k = 7 stands for d = 0, too. At d = 0 the answer is regressed
//! from data: the mean of v over all paths through x_t. For larger d nobody knows the true answer.
//! Objectives differ in what they put in its place, made of the network's own answers:
//!
//! | objective | target of a step of size d |
//! |---|---|
//! | flow matching | none: v, at d = 0 alone |
//! | shortcut | the mean of two steps of d / 2, (s(x_t, t, d/2) + s(x', t + d/2, d/2)) / 2 |
//! | mean flow | v + d D, where D is the derivative of s along the path, or along what a second output predicts |
//! | data-anchored | v for the first part of the step, s for the rest: a v + (1 - a) s(x + a d v, t + a d, d - a d) |
//! | consistency | what leads to the same data as a later point of the path; d = 1 - t |
//! | diffusion | none: the noise or v of a curved path of 1000 steps, at d = 0 alone |
//!
//! A training step goes through [`Objective`] from top to bottom: `plan_rows` draws what every row of
//! the batch is for (its time, level, whether its caption is dropped), `pair_noise` may exchange noise
//! between rows, and `targets` makes [`TrainingTargets`], with the answers of a [`Teacher`] for the
//! rows that need one. The trainer takes their weighted mean squared error and knows no more about
//! it; `sampler` and `guidance` tell the pipeline how the trained model is to be used.

mod assignment;
mod consistency;
mod contract;
mod data_anchored;
mod diffusion;
mod error;
mod flow_matching;
mod mean_flow;
mod path;
mod row;
mod shortcut;

use std::ops::Deref;

use serde::{Deserialize, Serialize};

pub use crate::network_input::{BASE_LEVEL, BASE_STEPS, NetworkInput, step_level};
pub use consistency::ConsistencyConfig;
pub use contract::{
    Batch, Conditioning, Head, LossWeight, Network, Objective, Teacher, TrainingTargets,
    passes_per_row,
};
pub use data_anchored::{AnchorWeighting, DataAnchoredConfig, TargetGuidance};
pub use diffusion::{DiffusionConfig, DiffusionSampler};
pub use error::ObjectiveError;
pub use flow_matching::FlowMatchingConfig;
pub use mean_flow::{DrawnGuidance, MeanFlowConfig, Tangent};
pub use row::{FlowTime, Row, RowKind};
pub use shortcut::{LevelAllocation, NoisePairing, ShortcutConfig};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_read_by_their_old_names() {
        let times = r#"{"kind": "logit_normal", "mean": 0.0, "std": 1.0, "uniform_share": 0.5}"#;
        for (kind, names) in [
            ("shortcut", &["bootstrap"][..]),
            ("mean_flow", &["mean"]),
            ("data_anchored", &["consistency", "noise_start", "data_end"]),
        ] {
            for name in names {
                let old =
                    format!(r#"{{"kind": "{kind}", "{name}_share": 0.375, "flow_time": {times}}}"#);
                let read: ObjectiveConfig = serde_json::from_str(&old).expect("old names");
                let written = serde_json::to_value(read).expect("JSON");
                assert_eq!(written[format!("{name}_fraction")], 0.375);
                assert_eq!(written["flow_time"]["uniform_fraction"], 0.5);
            }
        }
    }
}
