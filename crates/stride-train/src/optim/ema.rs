//! Exponential moving averages of a module's weights.

use burn::module::Module;
use serde::{Deserialize, Serialize};
use stride_kernels::fused;

use super::named_tensors::{flat_values, map_flat};
use crate::error::check;

/// One average of the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Its name, which is also its file name in a checkpoint, e.g. `teacher`.
    pub name: String,
    /// How fast it follows.
    pub decay: EmaDecay,
}

/// How fast an average follows the weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EmaDecay {
    /// The same decay at every step, e.g. 0.98: a lag of `1 / (1 - decay)` steps.
    Constant(f64),
    /// The power-function average: a lag that grows with the run.
    Power {
        /// The exponent; 6.94 averages over the last 10% or so of the run.
        gamma: f64,
    },
}

impl EmaConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let is_name = !self.name.is_empty()
            && self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        check(is_name, "ema.name", "letters, digits and underscores")?;
        match self.decay {
            EmaDecay::Constant(decay) => {
                let expected = format!("in [0, 1), found {decay}");
                check((0.0..1.0).contains(&decay), "ema.decay", &expected)
            }
            EmaDecay::Power { gamma } => {
                let expected = format!("finite, at least 0, found {gamma}");
                check(gamma >= 0.0 && gamma.is_finite(), "ema.decay.gamma", &expected)
            }
        }
    }
}

impl EmaDecay {
    /// The decay at `step`, counted from 1.
    ///
    /// Power form: `(1 - 1 / step)^(gamma + 1)`. Source: Karras et al., "Analyzing and improving the
    /// training dynamics of diffusion models" (2024), section 3.
    pub fn at(self, step: u64) -> f64 {
        match self {
            Self::Constant(decay) => decay,
            Self::Power { gamma } => (1.0 - 1.0 / step.max(1) as f64).powf(gamma + 1.0),
        }
    }
}

/// A moving average of the weights of `M`, outside automatic differentiation.
#[derive(Clone, Debug)]
pub struct Ema<M: Module> {
    config: EmaConfig,
    module: Option<M>,
}

impl<M: Module> Ema<M> {
    /// An average that starts at the present weights.
    pub fn new(config: EmaConfig, module: &M) -> Self {
        // Values are shared until the first update, which then makes a copy.
        Self { config, module: Some(module.valid()) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The averaged module.
    pub fn module(&self) -> &M {
        self.module.as_ref().expect("the module is away only during an update")
    }

    /// Moves the average towards the weights: `e <- decay e + (1 - decay) p`; `step` counts from 1.
    pub fn update(&mut self, module: &M, step: u64) {
        let decay = self.config.decay.at(step);
        self.module = self.module.take().map(|average| {
            map_flat(average, flat_values(module), |_, _, average, value| {
                fused::follow(average, value, decay)
            })
        });
    }

    /// Replaces the average, when a run resumes.
    pub fn set_module(&mut self, module: M) {
        self.module = Some(module);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_form_starts_at_the_first_weights() {
        let decay = EmaDecay::Power { gamma: 6.94 };
        assert_eq!(decay.at(1), 0.0);
        assert!(decay.at(1000) > 0.99 && decay.at(1000) < 1.0);
    }
}
