//! Draws values for the attributes that a prompt leaves open.

use crate::noise::{ChaCha8Rng, uniform};

/// An attribute with a value of at least this probability has been told, or follows from what has been told.
const TOLD: f64 = 0.9;
/// The most that one attribute says for or against an example. A prompt that tells much matches few examples in everything, or
/// none; those that differ in a point are to have a say in what it leaves open.
const MOST_EVIDENCE: f64 = 4.0;
/// A value is plausible if the prompt speaks for it at least this part as much as for the value that it speaks for most. "A man"
/// speaks for no hat more than for a hat.
const PLAUSIBLE: f64 = 0.4;
/// The same where the prompt speaks of the attribute, as "a hat" does: some hats are meant about equally.
const PLAUSIBLE_OF_SPOKEN: f64 = 0.8;
/// The evidence for a value from which on a prompt speaks of the attribute.
const SPOKEN: f64 = 4.0;
/// The weight of an example for each of its values that is open and not plausible.
const IMPLAUSIBLE: f64 = 0.1;

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
/// prod_a min(4, max(1/4, p_a(e_a) / f_a(e_a))),    f_a(v) how often value v is among the examples,
/// ```
///
/// which, but for the bounds, is the posterior of the examples if every attribute is told for itself; and a tenth of that for
/// every open attribute whose value is not plausible. What is open takes its values from the example, which go together since they did in an image; but instead of a value that is not plausible, one is
/// drawn from those that are, by `p_a` alone.
pub(super) fn choose(
    posteriors: &[Vec<f64>],
    examples: &[Vec<usize>],
    rng: &mut ChaCha8Rng,
) -> Vec<Choice> {
    let frequencies = (0..posteriors.len()).map(|of| frequencies(examples, of, &posteriors[of]));
    let frequencies: Vec<Vec<f64>> = frequencies.collect();
    let evidence: Vec<Vec<f64>> = posteriors.iter().zip(&frequencies).map(evidence).collect();
    let is_open = |of: usize| posteriors[of].iter().all(|&p| p < TOLD);
    let is_plausible = |of: usize, value: usize| {
        let most = evidence[of].iter().copied().fold(0.0, f64::max);
        let part = if most < SPOKEN { PLAUSIBLE } else { PLAUSIBLE_OF_SPOKEN };
        evidence[of][value] >= part * most
    };
    let weight = |(of, &value): (usize, &usize)| {
        let ratio = evidence[of][value].clamp(1.0 / MOST_EVIDENCE, MOST_EVIDENCE);
        if is_open(of) && !is_plausible(of, value) { ratio * IMPLAUSIBLE } else { ratio }
    };
    let weights = examples.iter().map(|example| example.iter().enumerate().map(weight).product());
    let example = &examples[draw(&weights.collect::<Vec<f64>>(), rng)];
    let choose = |(of, &value): (usize, &usize)| {
        // One draw each, so that what is said of one attribute does not change the others.
        let plausible = posteriors[of].iter().enumerate();
        let plausible = plausible.map(|(value, &p)| if is_plausible(of, value) { p } else { 0.0 });
        let own = draw(&plausible.collect::<Vec<f64>>(), rng);
        let drawn = if is_plausible(of, value) { value } else { own };
        let is_open = is_open(of);
        Choice { value: if is_open { drawn } else { likeliest(&posteriors[of]) }, is_open }
    };
    example.iter().enumerate().map(choose).collect()
}

/// How much more likely a prompt makes each value of an attribute than it is among the examples; 0 for one that no example has.
fn evidence((posterior, frequencies): (&Vec<f64>, &Vec<f64>)) -> Vec<f64> {
    let pairs = posterior.iter().zip(frequencies);
    pairs.map(|(&p, &frequency)| if frequency > 0.0 { p / frequency } else { 0.0 }).collect()
}

/// How often the examples have each value of an attribute.
fn frequencies(examples: &[Vec<usize>], of: usize, values: &[f64]) -> Vec<f64> {
    let mut counts = vec![0.0; values.len()];
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
#[allow(clippy::print_stdout)]
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
        // "a man": men have short hair, and some a beard.
        let [gender, beard, hair] = counts(&[[0.99, 0.01], [0.6, 0.4], [0.89, 0.11]])[..] else {
            unreachable!("three attributes")
        };
        assert_eq!(gender, [2000, 0, 0]);
        println!("beard {beard:?}, hair {hair:?}");
        assert!(beard[1] > 300 && beard[2] > 300, "{beard:?}");
        assert!(hair[2] < 200, "{hair:?}");
    }

    #[test]
    fn an_implausible_value_is_drawn_anew() {
        // A woman with a beard and long hair, as no example is: hair follows the prompt, not the examples with a beard.
        let chosen = counts(&[[0.0, 1.0], [0.0, 1.0], [0.15, 0.85]]);
        assert_eq!((chosen[0], chosen[1]), ([2000, 0, 0], [2000, 0, 0]));
        println!("{:?}", chosen[2]);
        assert!(chosen[2][2] > 1500, "{chosen:?}");
    }

    #[test]
    fn a_prompt_that_tells_much_leaves_more_than_one_example() {
        // 64 examples with six attributes of two values each, told up to the last two.
        let examples: Vec<Vec<usize>> =
            (0..64).map(|example| (0..6).map(|of| example >> of & 1).collect()).collect();
        let told = vec![0.001, 0.999];
        let open = vec![0.5, 0.5];
        let posteriors = [vec![told; 4], vec![open; 2]].concat();
        // One example alone is like the prompt in all that it tells.
        let examples: Vec<Vec<usize>> = examples
            .into_iter()
            .filter(|example| example[..4] != [1; 4] || example[4..] == [0, 0])
            .collect();
        let mut counts = [0; 4];
        for seed in 0..2000 {
            let chosen = choose(&posteriors, &examples, &mut keyed_rng(seed, 0, 0, 0));
            counts[chosen[4].value * 2 + chosen[5].value] += 1;
        }
        println!("{counts:?}");
        assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
    }

    #[test]
    fn a_prompt_that_tells_everything_is_left_alone() {
        let told = [vec![0.95, 0.05], vec![0.05, 0.95], vec![0.95, 0.05]];
        let chosen = choose(&told, &EXAMPLES.map(Vec::from), &mut keyed_rng(1, 0, 0, 0));
        assert_eq!(chosen, [0, 1, 0].map(|value| Choice { value, is_open: false }));
    }
}
