//! A share of a whole that was counted prompt by prompt, with its interval.

use serde::Serialize;
use stride::noise::{below, keyed_rng, purpose};

/// Draws for an interval.
const DRAWS: usize = 1000;

/// What is right, of how many.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Those that are right.
    pub right: usize,
    /// All of them.
    pub of: usize,
    /// right / of, in [0, 1].
    pub fraction: f64,
    /// Its interval by bootstrap over prompts; absent for a single prompt.
    pub interval_95: Option<[f64; 2]>,
}

impl Share {
    /// The share of all prompts together, of which each has `[right, of]`, and a 95% interval for it.
    ///
    /// fraction = sum right / sum of. The interval holds the middle 95% of the fractions of 1000 sets of as many
    /// prompts, drawn with replacement. A prompt is drawn with all that it has, since its images are alike: taken for
    /// independent, they would make the interval too narrow.
    ///
    /// # Source
    /// The percentile bootstrap of clusters (Davison and Hinkley 1997, section 3.8).
    pub fn of_prompts(counts: &[[usize; 2]], seed: u64) -> Self {
        let fraction = |[right, of]: [usize; 2]| right as f64 / of.max(1) as f64;
        let add = |a: [usize; 2], b: [usize; 2]| [a[0] + b[0], a[1] + b[1]];
        let total = counts.iter().copied().fold([0, 0], add);
        let interval = || {
            let mut fractions: Vec<f64> = (0..DRAWS)
                .map(|draw| {
                    let mut rng = keyed_rng(seed, purpose::EVALUATION, draw as u64, 0);
                    let drawn = counts.iter().map(|_| counts[below(&mut rng, counts.len())]);
                    fraction(drawn.fold([0, 0], add))
                })
                .collect();
            fractions.sort_by(f64::total_cmp);
            let at = |quantile: f64| fractions[(quantile * (DRAWS - 1) as f64).round() as usize];
            [at(0.025), at(0.975)]
        };
        Self {
            right: total[0],
            of: total[1],
            fraction: fraction(total),
            interval_95: (counts.len() > 1).then(interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_prompts_and_not_of_images() {
        // 100 prompts whose images are all right or all wrong: a standard error of 0.05 however many images there are.
        for images in [1, 50] {
            let counts: Vec<[usize; 2]> =
                (0..100).map(|prompt| [prompt % 2 * images, images]).collect();
            let share = Share::of_prompts(&counts, 3);
            assert_eq!((share.right, share.of, share.fraction), (50 * images, 100 * images, 0.5));
            let [low, high] = share.interval_95.expect("many prompts");
            assert!((low - 0.402).abs() < 0.021 && (high - 0.598).abs() < 0.021, "{low} {high}");
            assert_eq!(Share::of_prompts(&counts, 3), share, "the same seed");
        }
        let all = Share::of_prompts(&[[4, 4], [2, 2]], 0);
        assert_eq!((all.fraction, all.interval_95), (1.0, Some([1.0, 1.0])));
        assert_eq!(Share::of_prompts(&[[1, 4]], 0).interval_95, None);
    }
}
