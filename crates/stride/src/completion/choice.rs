//! Draws values for the attributes that a prompt leaves open.

use crate::noise::{ChaCha8Rng, uniform};

/// An attribute with a value of at least this probability has been told, or follows from what has been told.
const TOLD: f64 = 0.9;
/// The prompt contradicts a value that it makes less likely than this part of how often the examples have it.
const CONTRADICTED: f64 = 0.5;
/// The weight of an example for each value that the prompt contradicts.
const CONTRADICTION: f64 = 1e-4;

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its place among the values.
    pub(super) value: usize,
    /// Whether the prompt left it open, so that it was drawn.
    pub(super) is_open: bool,
}

/// A value for every attribute: the likeliest where the prompt tells it, and drawn where it is open, such that all of them
/// go together.
///
/// An example e is drawn with a probability in proportion to
///
/// ```text
/// prod_{a told} p_a(e_a)  prod_{a open} (1 if p_a(e_a) >= f_a(e_a) / 2 else 1e-4),   f_a how often the examples have a value,
/// ```
///
/// that is, from those that show what the prompt says and that it does not contradict. Their values go together since they
/// did in an image. Where no example fits and the prompt contradicts its value, the value is drawn from `p_a` alone.
pub(super) fn choose(
    posteriors: &[Vec<f64>],
    examples: &[Vec<usize>],
    rng: &mut ChaCha8Rng,
) -> Vec<Choice> {
    let is_open = |posterior: &[f64]| posterior.iter().all(|&p| p < TOLD);
    let frequencies: Vec<Vec<f64>> = posteriors
        .iter()
        .enumerate()
        .map(|(of, values)| frequencies(examples, of, values.len()))
        .collect();
    let is_contradicted =
        |of: usize, value: usize| posteriors[of][value] < CONTRADICTED * frequencies[of][value];
    let factor = |(of, &value): (usize, &usize)| match is_open(&posteriors[of]) {
        false => posteriors[of][value],
        true if is_contradicted(of, value) => CONTRADICTION,
        true => 1.0,
    };
    let weight = |example: &Vec<usize>| -> f64 { example.iter().enumerate().map(factor).product() };
    let weights: Vec<f64> = examples.iter().map(weight).collect();
    let example = &examples[draw(&weights, rng)];
    let choose = |(of, &value): (usize, &usize)| {
        // One draw each, so that what is said of one attribute does not change the others.
        let own = draw(&posteriors[of], rng);
        let is_open = is_open(&posteriors[of]);
        let drawn = if is_contradicted(of, value) { own } else { value };
        Choice { value: if is_open { drawn } else { likeliest(&posteriors[of]) }, is_open }
    };
    example.iter().enumerate().map(choose).collect()
}

/// How often the examples have each value of an attribute.
fn frequencies(examples: &[Vec<usize>], of: usize, num_values: usize) -> Vec<f64> {
    let mut counts = vec![0.0; num_values];
    for example in examples {
        counts[example[of]] += 1.0 / examples.len() as f64;
    }
    counts
}

fn likeliest(posterior: &[f64]) -> usize {
    let most = posterior.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    most.map_or(0, |(value, _)| value)
}

/// A place drawn in proportion to the weights, of which some may be zero; the last if all are.
fn draw(weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let mut rest = uniform(rng) * weights.iter().sum::<f64>();
    let is_it = |&(_, &weight): &(usize, &f64)| {
        rest -= weight;
        rest < 0.0
    };
    let found = weights.iter().enumerate().find(is_it);
    found.map_or(weights.len() - 1, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::keyed_rng;

    /// Attributes: gender (man, woman), beard (none, full), hair (short, long).
    const EXAMPLES: [[usize; 3]; 4] = [[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 0, 0]];

    fn counts(posteriors: &[[f64; 2]; 3]) -> Vec<[usize; 3]> {
        // Of each attribute: not chosen, first value, second value.
        let posteriors = posteriors.map(Vec::from);
        let examples = EXAMPLES.map(Vec::from);
        let mut counts = vec![[0; 3]; 3];
        for seed in 0..2000 {
            let chosen = choose(&posteriors, &examples, &mut keyed_rng(seed, 0, 0, 0));
            for (counts, value) in counts.iter_mut().zip(chosen) {
                counts[if value.is_open { value.value + 1 } else { 0 }] += 1;
            }
        }
        counts
    }

    #[test]
    fn what_is_told_stays_and_what_is_open_follows_the_examples() {
        // "a man": two examples, one with a beard, both with short hair.
        let [gender, beard, hair] = counts(&[[0.99, 0.01], [0.5, 0.5], [0.5, 0.5]])[..] else {
            unreachable!("three attributes")
        };
        assert_eq!(gender, [2000, 0, 0]);
        assert!((900..1100).contains(&beard[1]), "{beard:?}");
        // A hundredth of the draws is of women, whose hair may be long.
        assert!(hair[0] == 0 && hair[2] < 60, "{hair:?}");
    }

    #[test]
    fn a_value_that_the_prompt_excludes_is_never_chosen() {
        // "a bearded one": the beard is told, so the one example with it decides the rest.
        let chosen = counts(&[[0.7, 0.3], [0.001, 0.999], [0.5, 0.5]]);
        assert_eq!(chosen[1], [2000, 0, 0]);
        assert!(chosen[0][1] > 1980 && chosen[2][1] > 1980, "{chosen:?}");
        // A woman with a beard: no example has both, and what is open still does not contradict the prompt.
        let chosen = counts(&[[0.0, 1.0], [0.0, 1.0], [0.01, 0.85]]);
        assert_eq!(chosen[0], [2000, 0, 0]);
        assert!(chosen[2][2] > 1950, "{chosen:?}");
    }

    #[test]
    fn a_prompt_that_tells_everything_is_left_alone() {
        let told = [vec![0.95, 0.05], vec![0.05, 0.95], vec![0.95, 0.05]];
        let chosen = choose(&told, &EXAMPLES.map(Vec::from), &mut keyed_rng(1, 0, 0, 0));
        assert_eq!(chosen, [0, 1, 0].map(|value| Choice { value, is_open: false }));
    }
}
