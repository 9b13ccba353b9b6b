//! What a device computes beside what the processor computes, tensor by tensor.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use serde::Serialize;

/// The largest error of an output, relative to the largest number of its tensor.
pub(super) const OUTPUT_TOLERANCE: f64 = 1e-4;
/// The same of a gradient.
pub(super) const GRADIENT_TOLERANCE: f64 = 1e-3;
/// Tensors whose numbers are all smaller than the largest of their kind times this count as this large: some gradients
/// are zero but for rounding.
const FLOOR: f64 = 1e-3;

/// Tensors in host memory by name.
pub(super) type Named = BTreeMap<String, Vec<f32>>;

/// What a computation gave.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) outputs: Named,
    /// Of the weights.
    pub(super) gradients: Named,
}

impl Outcome {
    /// Outputs alone.
    pub(super) fn of<const D: usize>(name: &str, tensor: Tensor<D>) -> Self {
        Self::default().with(name, tensor)
    }

    /// With one more output.
    pub(super) fn with<const D: usize>(mut self, name: &str, tensor: Tensor<D>) -> Self {
        self.outputs.insert(name.to_owned(), tensor.into_data().iter().collect());
        self
    }
}

/// The same computation on any device.
pub(super) type Computation = Box<dyn Fn(&Device) -> Result<Outcome>>;

/// What makes a computation, and its name.
pub(super) type Case = (&'static str, fn() -> Result<Computation>);

/// The tensor that differs most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Worst {
    pub(super) tensor: String,
    /// Relative to the largest number of the tensor; none where something is no number.
    pub(super) error: Option<f64>,
}

/// The verdict on one computation.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) name: String,
    /// None where there are no such tensors.
    pub(super) output: Option<Worst>,
    pub(super) gradient: Option<Worst>,
    pub(super) passed: bool,
}

impl Verdict {
    /// Compares a device with the processor.
    pub(super) fn of(name: &str, expected: &Outcome, found: &Outcome) -> Self {
        let output = worst(&expected.outputs, &found.outputs);
        let gradient = worst(&expected.gradients, &found.gradients);
        let is_within = |worst: &Option<Worst>, tolerance| {
            worst.as_ref().is_none_or(|worst| worst.error.is_some_and(|error| error <= tolerance))
        };
        let passed =
            is_within(&output, OUTPUT_TOLERANCE) && is_within(&gradient, GRADIENT_TOLERANCE);
        Self { name: name.to_owned(), output, gradient, passed }
    }
}

fn worst(expected: &Named, found: &Named) -> Option<Worst> {
    let largest =
        |values: &[f32]| values.iter().fold(0.0, |most: f64, &v| most.max(f64::from(v).abs()));
    let floor = FLOOR * expected.values().map(|values| largest(values)).fold(0.0, f64::max);
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    let errors = names.map(|name| {
        let error = match (expected.get(name), found.get(name)) {
            (Some(expected), Some(found)) if expected.len() == found.len() => {
                let pairs = expected.iter().zip(found);
                let differences = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
                // The sum is no number if one of them is none.
                let (most, sum) =
                    differences.fold((0.0, 0.0), |(most, sum), d| (d.max(most), sum + d));
                let scale = largest(expected).max(floor);
                let relative = if most == 0.0 { 0.0 } else { most / scale };
                (f64::is_finite(sum) && relative.is_finite()).then_some(relative)
            }
            _ => None,
        };
        Worst { tensor: name.clone(), error }
    });
    errors.max_by(|a, b| {
        let key = |worst: &Worst| worst.error.unwrap_or(f64::INFINITY);
        key(a).total_cmp(&key(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(output: &[f32], gradient: &[f32]) -> Outcome {
        let named = |values: &[f32]| Named::from([("it".to_owned(), values.to_vec())]);
        Outcome { outputs: named(output), gradients: named(gradient) }
    }

    #[test]
    fn a_difference_beyond_the_tolerance_is_found_wherever_it_is() {
        let expected = outcome(&[2.0, -4.0], &[0.5, 0.25]);
        let passes = |found: &Outcome| Verdict::of("case", &expected, found).passed;
        assert!(passes(&outcome(&[2.0, -4.0003], &[0.5, 0.2504])));
        assert!(!passes(&outcome(&[2.0, -4.0005], &[0.5, 0.25])));
        assert!(!passes(&outcome(&[2.0, -4.0], &[0.5, 0.2506])));
        assert!(!passes(&outcome(&[f32::NAN, -4.0], &[0.5, 0.25])));
        assert!(!passes(&outcome(&[2.0, -4.0], &[0.5])));
        assert!(!passes(&Outcome::default()));
    }

    #[test]
    fn gradients_that_are_zero_but_for_rounding_pass() {
        let gradients = |small: f32| Outcome {
            outputs: Named::new(),
            gradients: [("large", 1.0), ("small", small)]
                .map(|(name, v)| (name.to_owned(), vec![v]))
                .into(),
        };
        assert!(Verdict::of("case", &gradients(1e-9), &gradients(-2e-8)).passed);
        assert!(!Verdict::of("case", &gradients(1e-9), &gradients(1e-5)).passed);
    }
}
