//! How many numbers the parts of a model have, and how large weights, gradients and updates are.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::optim::{GradientSum, flat_values};

/// Sums of squares by part.
type Squares = BTreeMap<String, f64>;

/// A part is what the first two fields of a parameter's path name, such as `dit.blocks`.
fn part_of(name: &str) -> &str {
    let mut dots = name.match_indices('.').map(|(place, _)| place);
    let end = dots.nth(1).or_else(|| name.rfind('.')).unwrap_or(name.len());
    &name[..end]
}

fn square_sum(values: Tensor<1>) -> f64 {
    values.into_data().iter::<f32>().map(|value| f64::from(value).powi(2)).sum()
}

/// How many numbers the parts of a model have, in the order of their names.
pub(super) fn numbers_by_part<M: Module>(model: &M) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    for (name, value) in flat_values(model) {
        *counts.entry(part_of(&name).to_owned()).or_default() += value.dims()[0];
    }
    counts.into_iter().collect()
}

/// Weights and gradients before an update.
pub(super) struct Before {
    values: BTreeMap<String, Tensor<1>>,
    gradients: Squares,
}

impl Before {
    pub(super) fn of<M: Module>(model: &M, gradients: &GradientSum) -> Self {
        let mut squares = Squares::new();
        for (name, square) in gradients.squares() {
            *squares.entry(part_of(name).to_owned()).or_default() += square;
        }
        Self { values: flat_values(model), gradients: squares }
    }

    /// The norms: those of the gradient before clipping, of the update that was made, and of the weights after it.
    pub(super) fn norms<M: Module>(self, after: &M) -> Vec<(String, f64)> {
        let (mut weights, mut updates) = (Squares::new(), Squares::new());
        for (name, value) in flat_values(after) {
            let part = part_of(&name);
            if let Some(before) = self.values.get(&name) {
                let update = value.clone().sub(before.clone());
                *updates.entry(part.to_owned()).or_default() += square_sum(update);
            }
            *weights.entry(part.to_owned()).or_default() += square_sum(value);
        }
        let all =
            [("grad_norm", self.gradients), ("update_norm", updates), ("weight_norm", weights)];
        let named = all.into_iter().flat_map(|(kind, squares)| {
            squares.into_iter().map(move |(part, sum)| (format!("{kind}/{part}"), sum.sqrt()))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_by_two_fields() {
        for (name, part) in [
            ("dit.blocks.3.attn.qkv.weight", "dit.blocks"),
            ("dit.x_embedder.weight", "dit.x_embedder"),
            ("first.weight", "first"),
            ("weight", "weight"),
        ] {
            assert_eq!(part_of(name), part);
        }
    }
}
