//! Where guidance is sound.

use serde::{Deserialize, Serialize};

use crate::network_input::NetworkTime;

/// The largest guidance scale of a request. Those that people use lie below 20.
pub const MAX_CFG_SCALE: f64 = 100.0;

/// The step sizes at which a model can be guided.
///
/// Guidance by two passes, v_null + w (v_text - v_null), needs a network that has learned the
/// empty caption at the step size it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guidance {
    /// Nowhere: no caption was ever dropped.
    Never,
    /// At d = 1/128 alone: self-consistency rows kept their captions, as in the reference.
    BaseLevel,
    /// At every step size the sampler asks for: captions were dropped on all rows.
    AnyLevel,
    /// By the scale itself, which is an input of the network; at d = 1/128 by two passes, unless
    /// the scale is an input there as well.
    ScaleInput {
        /// The largest scale of training; the smallest is 1.
        max_scale: f64,
        /// Whether it is an input at d = 1/128.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        at_base_level: bool,
    },
}

/// How a step is guided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuidancePass {
    /// With the caption and with the empty one.
    TwoPasses,
    /// Once, with the scale as an input.
    ScaleInput,
    /// Not at all: the network does not know the empty caption there.
    Unknown,
}

impl Guidance {
    /// That of a model that learned the empty caption at every step size, if any was dropped.
    pub(crate) fn learned_by_dropout(cond_dropout_prob: f64) -> Self {
        if cond_dropout_prob > 0.0 { Self::AnyLevel } else { Self::Never }
    }

    /// How a network that is asked for `time` can be guided.
    pub fn pass(&self, time: NetworkTime) -> GuidancePass {
        match self {
            Self::Never => GuidancePass::Unknown,
            Self::AnyLevel => GuidancePass::TwoPasses,
            Self::ScaleInput { at_base_level: true, .. } => GuidancePass::ScaleInput,
            _ if time.is_base_level() => GuidancePass::TwoPasses,
            Self::BaseLevel => GuidancePass::Unknown,
            Self::ScaleInput { .. } => GuidancePass::ScaleInput,
        }
    }

    /// Whether a sampler of any number of steps can be guided.
    pub fn is_sound_at_any_step_count(&self) -> bool {
        matches!(self, Self::AnyLevel | Self::ScaleInput { .. })
    }

    /// Whether the network needs the scale as an input.
    pub fn needs_scale_input(&self) -> bool {
        matches!(self, Self::ScaleInput { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_passes_only_where_the_empty_caption_is_known() {
        let [fine, coarse] = [7.0, 2.0].map(|log2_steps| NetworkTime { t: 0.0, log2_steps });
        let passes = |guidance: Guidance| [fine, coarse].map(|time| guidance.pass(time));
        use GuidancePass::{ScaleInput, TwoPasses, Unknown};
        assert_eq!(passes(Guidance::Never), [Unknown, Unknown]);
        assert_eq!(passes(Guidance::BaseLevel), [TwoPasses, Unknown]);
        assert_eq!(passes(Guidance::AnyLevel), [TwoPasses, TwoPasses]);
        let input = |at_base_level| Guidance::ScaleInput { max_scale: 4.0, at_base_level };
        assert_eq!(passes(input(false)), [TwoPasses, ScaleInput]);
        assert_eq!(passes(input(true)), [ScaleInput, ScaleInput]);
    }

    #[test]
    fn names_in_a_model_index_stay() {
        let read = |text: &str| serde_json::from_str::<Guidance>(text).expect("known");
        assert_eq!(read("\"base_level\""), Guidance::BaseLevel);
        assert_eq!(read("\"any_level\""), Guidance::AnyLevel);
        let old = "{\"scale_input\":{\"max_scale\":4.0}}";
        for at_base_level in [false, true] {
            let scale = Guidance::ScaleInput { max_scale: 4.0, at_base_level };
            let written = serde_json::to_string(&scale).expect("writable");
            assert_eq!(read(&written), scale);
            assert_eq!(written == old, !at_base_level, "{written}");
        }
    }
}
