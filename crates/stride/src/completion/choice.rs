//! Draws values for the attributes that a prompt leaves open.

use crate::noise::{ChaCha8Rng, uniform};

/// An attribute with a value of at least this probability has been told, or follows from what has been told.
const TOLD: f64 = 0.9;
/// A value is plausible if the prompt speaks for it at least this part as much as for the value that it speaks for most. "A man"
/// speaks for no hat more than for a hat.
const PLAUSIBLE: f64 = 0.4;
/// The same where the prompt speaks of the attribute, as "a hat" does: some hats are meant about equally.
const PLAUSIBLE_OF_SPOKEN: f64 = 0.8;
/// The evidence for a value from which on a prompt speaks of the attribute.
const SPOKEN: f64 = 4.0;
/// Examples as if two attributes had nothing to do with each other, beside those that are counted.
const UNRELATED: f64 = 1.0;

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
/// Open attributes are drawn one after the other; the value v of attribute a with a probability in proportion to
///
/// ```text
/// p_a(v) prod_b f(v | w_b) / f(v),    b the open attributes before a, w_b the value drawn for b,
/// ```
///
/// with `p_a` what the prompt says, which knows all that was told, and `f` how often values are among the examples, alone and
/// together. Attributes that have nothing to do with each other have ratios of about 1, and so stay as varied as the prompt leaves
/// them; values that no example has together have ratios near 0. A value that is not plausible is never drawn.
pub(super) fn choose(
    posteriors: &[Vec<f64>],
    examples: &[Vec<usize>],
    rng: &mut ChaCha8Rng,
) -> Vec<Choice> {
    let mut drawn: Vec<(usize, usize)> = Vec::new();
    let choose = |(of, posterior): (usize, &Vec<f64>)| {
        // One number for each, so that what is said of one attribute does not change the others.
        let place = uniform(rng);
        if posterior.iter().any(|&p| p >= TOLD) {
            return Choice { value: likeliest(posterior), is_open: false };
        }
        let frequencies = frequencies(examples, of, posterior.len());
        let mut weights = plausible(posterior, &frequencies);
        for &(other, value) in &drawn {
            let ratios = ratios(examples, of, &frequencies, (other, value));
            weights.iter_mut().zip(ratios).for_each(|(weight, ratio)| *weight *= ratio);
        }
        let value = draw(&weights, place);
        drawn.push((of, value));
        Choice { value, is_open: true }
    };
    posteriors.iter().enumerate().map(choose).collect()
}

/// The probabilities of plausible values, and 0 for the others.
fn plausible(posterior: &[f64], frequencies: &[f64]) -> Vec<f64> {
    let evidence = evidence(posterior, frequencies);
    let most = evidence.iter().copied().fold(0.0, f64::max);
    let part = if most < SPOKEN { PLAUSIBLE } else { PLAUSIBLE_OF_SPOKEN };
    let weight = |(&p, evidence)| if evidence >= part * most { p } else { 0.0 };
    posterior.iter().zip(evidence).map(weight).collect()
}

/// How much more often every value of an attribute is among the examples with a value of another one than among all of them.
fn ratios(
    examples: &[Vec<usize>],
    of: usize,
    frequencies: &[f64],
    (other, value): (usize, usize),
) -> Vec<f64> {
    let mut counts = vec![0.0; frequencies.len()];
    let mut all = 0.0;
    for example in examples.iter().filter(|example| example[other] == value) {
        counts[example[of]] += 1.0;
        all += 1.0;
    }
    let ratio = |(&count, &frequency): (&f64, &f64)| {
        if frequency > 0.0 {
            (count + UNRELATED * frequency) / ((all + UNRELATED) * frequency)
        } else {
            0.0
        }
    };
    counts.iter().zip(frequencies).map(ratio).collect()
}

/// How much more likely a prompt makes each value of an attribute than it is among the examples; 0 for one that no example has.
fn evidence(posterior: &[f64], frequencies: &[f64]) -> Vec<f64> {
    let pairs = posterior.iter().zip(frequencies);
    pairs.map(|(&p, &frequency)| if frequency > 0.0 { p / frequency } else { 0.0 }).collect()
}

/// How often the examples have each value of an attribute.
fn frequencies(examples: &[Vec<usize>], of: usize, values: usize) -> Vec<f64> {
    let mut counts = vec![0.0; values];
    for example in examples {
        counts[example[of]] += 1.0 / examples.len() as f64;
    }
    counts
}

fn likeliest(posterior: &[f64]) -> usize {
    let most = posterior.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    most.map_or(0, |(value, _)| value)
}

/// The place to which a fraction of the sum of the weights leads, of which some may be zero; the last if all are.
fn draw(weights: &[f64], fraction: f64) -> usize {
    let mut rest = fraction * weights.iter().sum::<f64>();
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
    fn what_is_open_goes_together_and_stays_varied() {
        // Style (0 or 1), hair (0 and 1 in style 0, 2 and 3 in style 1), background (4, with anything).
        let examples: Vec<Vec<usize>> = (0..1024)
            .map(|example| {
                let style = example & 1;
                vec![2 * style + (example >> 1 & 1), example >> 2 & 3, style]
            })
            .collect();
        let posteriors = [vec![0.25; 4], vec![0.25; 4], vec![0.5; 2]];
        let mut counts = [[0; 4]; 4];
        let mut torn = 0;
        for seed in 0..2000 {
            let chosen = choose(&posteriors, &examples, &mut keyed_rng(seed, 0, 0, 0));
            let [hair, background, style] = chosen[..] else { unreachable!("three attributes") };
            counts[hair.value][background.value] += 1;
            torn += usize::from(hair.value / 2 != style.value);
        }
        println!("{counts:?}, {torn} torn");
        assert!(torn < 20, "{torn}");
        assert!(counts.iter().flatten().all(|&count| (80..170).contains(&count)), "{counts:?}");
    }

    #[test]
    fn a_prompt_that_tells_everything_is_left_alone() {
        let told = [vec![0.95, 0.05], vec![0.05, 0.95], vec![0.95, 0.05]];
        let chosen = choose(&told, &EXAMPLES.map(Vec::from), &mut keyed_rng(1, 0, 0, 0));
        assert_eq!(chosen, [0, 1, 0].map(|value| Choice { value, is_open: false }));
    }
}
