//! Which images are trained on: none that is a copy of a held-out one, nor one that was only encoded or resized anew.

use rayon::prelude::*;

/// How near a copy is: the root of the mean squared difference, in standard deviations of what is held out.
///
/// Measured (docs/log.md): JPEG from quality 50 on and a resize to 3/4 and back lie below 0.05, and quality 30 below 0.07;
/// the nearest of 40,000 other drawings, for 300 held-out ones, at 0.10.
const NEAR: f32 = 0.08;

/// Values whose differences are summed before the sum is looked at.
const STRETCH: usize = 64;

/// The images before the last `held_out` of `total` that are not near one of these; `values` gives an image's, as many
/// for each.
///
/// a is near b where mean((a - b)^2) <= (0.08 s)^2, with s the standard deviation of all values of the held-out images.
pub(crate) fn train_images(
    total: usize,
    held_out: usize,
    values: impl Fn(usize) -> Vec<f32> + Sync,
) -> Vec<usize> {
    let first_held_out = total.saturating_sub(held_out);
    let kept_out: Vec<Vec<f32>> = (first_held_out..total).map(&values).collect();
    let variance = variance(&kept_out);
    let is_copy = |index: usize| {
        let image = values(index);
        kept_out.iter().any(|other| are_near(&image, other, variance))
    };
    let images = (0..first_held_out).into_par_iter();
    let train: Vec<usize> = images.filter(|&index| !is_copy(index)).collect();
    if train.len() < first_held_out {
        let copies = first_held_out - train.len();
        tracing::warn!(
            "{copies} images are copies of held-out ones, or the same but for encoding and resizing, and are not trained on"
        );
    }
    train
}

fn are_near(a: &[f32], b: &[f32], variance: f32) -> bool {
    let bound = NEAR * NEAR * variance * a.len() as f32;
    let mut sum = 0.0;
    // Most differ soon.
    a.chunks(STRETCH).zip(b.chunks(STRETCH)).all(|(a, b)| {
        sum += a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        sum <= bound
    })
}

fn variance(images: &[Vec<f32>]) -> f32 {
    let all = || images.iter().flatten().map(|&value| f64::from(value));
    let count = all().count().max(1) as f64;
    let mean = all().sum::<f64>() / count;
    (all().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of 200 values for every letter, disturbed by as many standard deviations.
    fn image((letter, disturbance): (char, f32)) -> Vec<f32> {
        let value = |k: usize| ((k * 31 + letter as usize * 17) % 101) as f32;
        let noise = |k: usize| if (k * 7 + k / 3).is_multiple_of(2) { 1.0 } else { -1.0 };
        (0..200).map(|k| value(k) + 29.15 * disturbance * noise(k)).collect()
    }

    #[test]
    fn copies_of_what_is_held_out_are_not_trained_on() {
        let contents = ['a', 'b', 'a', 'c', 'd', 'b', 'e'].map(|letter| image((letter, 0.0)));
        let train =
            |total, held_out| train_images(total, held_out, |index| contents[index].clone());
        assert_eq!(train(7, 2), [0, 2, 3, 4]);
        assert_eq!(train(7, 0), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(train_images(3, 1, |_| vec![7.0; 9]), [0; 0]);
        assert_eq!(train_images(2, 5, |_| vec![7.0; 9]), [0; 0]);
    }

    #[test]
    fn what_was_encoded_anew_is_a_copy_and_what_is_like_it_is_none() {
        let contents = [('a', 0.05), ('a', 0.07), ('a', 0.1), ('b', 0.0), ('c', 0.0), ('a', 0.0)];
        assert_eq!(train_images(6, 1, |index| image(contents[index])), [2, 3, 4]);
    }
}
