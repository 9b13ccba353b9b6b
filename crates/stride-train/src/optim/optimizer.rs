//! AdamW and Muon over the parameters of a module, with global-norm clipping and a state that can be saved.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use stride_kernels::adamw::AdamwStep;
use stride_kernels::fused;
use stride_kernels::gemm::Compute;
use stride_kernels::muon::MuonStep;

use super::named_tensors::{GradientSum, NamedGradients, NamedTensors, map_flat, without_variants};
use crate::error::check;

/// Settings of the optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The rule for hidden matrices.
    pub kind: OptimizerKind,
    /// AdamW's learning rate, before the schedule.
    pub learning_rate: f64,
    /// AdamW's decay rates of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay, for parameters of two and more dimensions.
    pub weight_decay: f64,
    /// Gradients whose norm over all parameters is larger are scaled down to it; none if absent.
    pub max_grad_norm: Option<f64>,
    /// Muon's learning rate, before the schedule.
    pub muon_learning_rate: f64,
    /// Compute dtype of Muon's iteration, `"bf16"` as in the original or `"f32"`.
    pub muon_compute: Compute,
    /// Factors on the learning rate of parameters whose names start with the key.
    pub lr_factors: BTreeMap<String, f64>,
    /// Optimizer steps before which parameters whose names start with the key stay as they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub start_steps: BTreeMap<String, u64>,
    /// Parameters whose names contain one of these are not decayed, such as "embedding".
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_decay: Vec<String>,
}

/// The rule that updates hidden matrices; all else is updated by AdamW.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// AdamW for everything.
    #[default]
    Adamw,
    /// Muon for the matrices inside the diffusion transformer's blocks that map tokens to tokens.
    Muon,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            learning_rate: 1e-3,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: Some(1.0),
            muon_learning_rate: 0.02,
            muon_compute: Compute::Bf16,
            lr_factors: BTreeMap::new(),
            start_steps: BTreeMap::new(),
            no_decay: Vec::new(),
        }
    }
}

impl OptimizerConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let is_positive = |value: f64| value > 0.0 && value.is_finite();
        let is_factor = |value: f64| value >= 0.0 && value.is_finite();
        for (field, value) in [
            ("optimizer.learning_rate", self.learning_rate),
            ("optimizer.muon_learning_rate", self.muon_learning_rate),
            ("optimizer.epsilon", self.epsilon),
        ] {
            check(is_positive(value), field, &format!("positive and finite, found {value}"))?;
        }
        let fits = self.betas.iter().all(|beta| (0.0..1.0).contains(beta));
        check(fits, "optimizer.betas", "in [0, 1)")?;
        check(is_factor(self.weight_decay), "optimizer.weight_decay", "finite, at least 0")?;
        let fits = self.max_grad_norm.is_none_or(|max| max > 0.0);
        check(fits, "optimizer.max_grad_norm", "positive")?;
        let fits = self.lr_factors.values().all(|&factor| is_factor(factor));
        check(fits, "optimizer.lr_factors", "finite, at least 0")
    }

    /// Checks that settings of some parameters are of parameters that there are.
    pub(crate) fn check_names(&self, names: &[&String]) -> Result<(), String> {
        let begins = |key: &String| names.iter().any(|name| name.starts_with(key.as_str()));
        let contains = |key: &String| names.iter().any(|name| name.contains(key.as_str()));
        let factors = self.lr_factors.keys().map(|key| ("lr_factors", key, begins(key)));
        let starts = self.start_steps.keys().map(|key| ("start_steps", key, begins(key)));
        let masks = self.no_decay.iter().map(|key| ("no_decay", key, contains(key)));
        for (setting, key, is_there) in factors.chain(starts).chain(masks) {
            let first = names.first().map_or("", |name| name.as_str());
            let expected = format!("names of parameters, such as {first}, found \"{key}\"");
            check(is_there, &format!("optimizer.{setting}"), &expected)?;
        }
        Ok(())
    }
}

/// An optimizer and its state; parameters are known by their path in the module.
///
/// AdamW, with `g` the clipped gradient and `t` counted from 1:
/// ```text
/// m <- b1 m + (1 - b1) g        v <- b2 v + (1 - b2) g^2
/// p <- (1 - lr wd) p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
/// ```
/// Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), Algorithm 2, in
/// the parametrisation of `torch.optim.AdamW` (decay times learning rate). Deviation: parameters
/// of one dimension (biases, gains) are never decayed. State and weights are f32.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running averages of one parameter's gradient, flattened.
#[derive(Clone, Debug)]
struct Moments {
    /// AdamW's m, or Muon's momentum.
    first: Tensor<1>,
    /// AdamW's v; absent under Muon.
    second: Option<Tensor<1>>,
}

impl Optimizer {
    /// An optimizer that has made no step.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// Updates every parameter that has a gradient and returns the module with the norm of the
    /// gradient over all parameters before clipping.
    ///
    /// `lr_factor` is the schedule's factor on all learning rates. When the norm is not finite the
    /// module is returned as it was, and so is the optimizer.
    ///
    /// Pass the module by value, without a clone elsewhere: then values are updated in place.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: NamedGradients,
        lr_factor: f64,
    ) -> (M, f64) {
        let gradients = gradients.sum();
        let norm = gradients.norm();
        if !norm.is_finite() {
            return (module, norm);
        }
        (self.apply(module, gradients, lr_factor), norm)
    }

    /// As [`step`](Self::step) for a gradient that is known to be finite.
    pub(crate) fn apply<M: Module>(
        &mut self,
        module: M,
        gradients: GradientSum,
        lr_factor: f64,
    ) -> M {
        let norm = gradients.norm();
        let gradient_scale = match self.config.max_grad_norm {
            Some(max) if norm > max => max / norm,
            _ => 1.0,
        };
        self.steps += 1;
        let factors = [lr_factor, gradient_scale];
        map_flat(module, gradients.sums, |name, dims, value, gradient| {
            self.update(name, dims, value, gradient, factors)
        })
    }

    /// The state to save.
    pub fn state(&self) -> NamedTensors {
        let mut state = NamedTensors::default();
        for (name, moments) in &self.moments {
            state.0.insert(format!("first.{name}"), moments.first.to_data());
            if let Some(second) = &moments.second {
                state.0.insert(format!("second.{name}"), second.to_data());
            }
        }
        state
    }

    /// Its settings.
    pub(crate) fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Restores what [`Optimizer::state`] and [`Optimizer::steps`] gave.
    pub fn restore(&mut self, steps: u64, mut state: NamedTensors, device: &Device) {
        let mut second = state.take_prefix("second.");
        let mut first = state.take_prefix("first.");
        let names: Vec<String> = first.0.keys().cloned().collect();
        self.steps = steps;
        self.moments = names
            .into_iter()
            .filter_map(|name| {
                let moments = Moments {
                    first: first.take_flat(&name, device)?,
                    second: second.take_flat(&name, device),
                };
                Some((without_variants(&name), moments))
            })
            .collect();
    }

    fn update(
        &mut self,
        name: &str,
        dims: &[usize],
        value: Tensor<1>,
        gradient: Tensor<1>,
        [lr_factor, gradient_scale]: [f64; 2],
    ) -> Tensor<1> {
        let start = longest_prefix(&self.config.start_steps, name).copied().unwrap_or_default();
        if self.steps <= start {
            return value;
        }
        let factor = longest_prefix(&self.config.lr_factors, name).copied().unwrap_or(1.0);
        let lr_factor = lr_factor * factor;
        let is_masked = self.config.no_decay.iter().any(|part| name.contains(part.as_str()));
        let weight_decay = if is_masked { 0.0 } else { self.config.weight_decay };
        let moments = self.moments.remove(name);
        let (value, moments) = match (self.config.kind, dims) {
            (OptimizerKind::Muon, &[d_in, d_out]) if is_hidden_matrix(name) => {
                let buffer = moments.map_or_else(|| gradient.zeros_like(), |m| m.first);
                let step = self.muon_step(lr_factor, weight_decay, gradient_scale, [d_in, d_out]);
                let (value, first) = fused::muon(value, gradient, buffer, [d_in, d_out], step);
                (value, Moments { first, second: None })
            }
            _ => {
                let lr = self.config.learning_rate * lr_factor;
                let decay = if dims.len() > 1 { lr * weight_decay } else { 0.0 };
                let step = self.adamw_step(self.steps - start, lr, decay, gradient_scale);
                let moments = match moments {
                    Some(Moments { first, second: Some(second) }) => [first, second],
                    _ => [gradient.zeros_like(), gradient.zeros_like()],
                };
                let (value, [first, second]) = fused::adamw(value, gradient, moments, step);
                (value, Moments { first, second: Some(second) })
            }
        };
        self.moments.insert(name.to_owned(), moments);
        value
    }

    fn muon_step(
        &self,
        lr_factor: f64,
        weight_decay: f64,
        gradient_scale: f64,
        dims: [usize; 2],
    ) -> MuonStep {
        let lr = self.config.muon_learning_rate * lr_factor;
        MuonStep {
            gradient_scale: gradient_scale as f32,
            learning_rate: (lr * muon_scale(dims)) as f32,
            momentum: MUON_MOMENTUM,
            decay: (lr * weight_decay) as f32,
            compute: self.config.muon_compute,
        }
    }

    /// `steps` are those that the parameter has made, this one with it.
    fn adamw_step(&self, steps: u64, lr: f64, decay: f64, gradient_scale: f64) -> AdamwStep {
        let correction = |beta: f64| (1.0 - beta.powf(steps as f64)) as f32;
        AdamwStep {
            gradient_scale: gradient_scale as f32,
            learning_rate: lr as f32,
            betas: self.config.betas.map(|beta| beta as f32),
            corrections: self.config.betas.map(correction),
            epsilon: self.config.epsilon as f32,
            decay: decay as f32,
        }
    }
}

/// The value of the longest key that a name starts with.
fn longest_prefix<'a, V>(values: &'a BTreeMap<String, V>, name: &str) -> Option<&'a V> {
    let prefixes = values.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
    prefixes.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| value)
}

/// Decay rate of Muon's momentum.
const MUON_MOMENTUM: f32 = 0.95;

/// Whether a parameter is one of the hidden matrices that Muon updates, by its name: one inside a block of the diffusion
/// transformer that maps tokens to tokens.
///
/// Embeddings, input and output layers stay with AdamW. So do the modulations, which read one
/// vector an image, start at zero and are the largest matrices of a block, and the text encoder, whose
/// steps must be small while its captions mean nothing to the transformer (docs/log.md, 2026-11-23).
fn is_hidden_matrix(name: &str) -> bool {
    let mut parts = name.split('.');
    parts.any(|part| part == "blocks") && parts.all(|part| part != "modulation")
}

/// Factor on Muon's learning rate of a matrix in Burn's layout `[in, out]`: `sqrt(max(1, out / in))`.
///
/// Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024);
/// `adjust_lr_fn="original"` of `torch.optim.Muon`. The step itself is [`stride_kernels::muon`].
fn muon_scale([d_in, d_out]: [usize; 2]) -> f64 {
    (d_out as f64 / d_in as f64).max(1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_earlier_versions_are_found() {
        let data = |value: f32| burn::tensor::TensorData::from([value]);
        let old = [("first.Tiny.decoder.layers.0.Conv.weight", 1.0), ("first.dit.t.bias", 2.0)];
        let state = old.map(|(name, value)| (name.to_owned(), data(value)));
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        optimizer.restore(3, NamedTensors(state.into()), &Device::flex());
        let expected = [("first.decoder.layers.0.weight", 1.0), ("first.dit.t.bias", 2.0)];
        let expected = expected.map(|(name, value)| (name.to_owned(), data(value)));
        assert_eq!(optimizer.state(), NamedTensors(expected.into()));
    }

    #[test]
    fn block_matrices_only() {
        assert!(is_hidden_matrix("dit.blocks.3.attn.qkv.weight"));
        assert!(!is_hidden_matrix("text_encoder.text_model.encoder.layers.0.mlp.fc1.weight"));
        assert!(!is_hidden_matrix("text_encoder.text_model.embeddings.token_embedding.weight"));
        assert!(!is_hidden_matrix("dit.blocks.3.modulation.weight"));
        assert!(!is_hidden_matrix("dit.final_layer.linear.weight"));
    }
}
