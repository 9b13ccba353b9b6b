//! Augmentation: small changes of images that leave what they show as it is.

use stride::noise::{ChaCha8Rng, below, fill_normal, uniform};

/// Most pixels that an image is moved by.
const MOST_SHIFT: usize = 6;
/// Most standard deviation of noise.
const MOST_NOISE: f64 = 0.08;
/// Most change of contrast, and of brightness.
const MOST_LIGHT: f64 = 0.12;

/// Mirrors, moves, softens, lights and grains an image `[3, size, size]` in [-1, 1], each by chance.
///
/// Edges are repeated where the image is moved away from them.
pub(crate) fn augment(size: usize, image: &mut [f32], rng: &mut ChaCha8Rng) {
    let source = image.to_vec();
    let is_mirrored = uniform(rng) < 0.5;
    let [down, right] = [0, 1].map(|_| below(rng, 2 * MOST_SHIFT + 1));
    let from =
        |place: usize, shift: usize| (place + shift).saturating_sub(MOST_SHIFT).min(size - 1);
    let columns: Vec<usize> =
        (0..size).map(|x| from(if is_mirrored { size - 1 - x } else { x }, right)).collect();
    let rows = image.chunks_exact_mut(size).enumerate();
    for (row, out) in rows {
        let (plane, y) = (row / size, row % size);
        let line = &source[(plane * size + from(y, down)) * size..][..size];
        for (out, &x) in out.iter_mut().zip(&columns) {
            *out = line[x];
        }
    }
    for _ in 0..below(rng, 3) {
        soften(size, image);
    }
    let contrast = (1.0 + MOST_LIGHT * (2.0 * uniform(rng) - 1.0)) as f32;
    let brightness = (MOST_LIGHT * (2.0 * uniform(rng) - 1.0)) as f32;
    let sigma = (MOST_NOISE * uniform(rng)) as f32;
    let mut noise = source;
    fill_normal(rng, &mut noise);
    for (x, noise) in image.iter_mut().zip(noise) {
        *x = (*x * contrast + brightness + sigma * noise).clamp(-1.0, 1.0);
    }
}

/// The means of three neighbours, along rows and then along columns; edges stay.
fn soften(size: usize, image: &mut [f32]) {
    let source = image.to_vec();
    for (out, line) in image.chunks_exact_mut(size).zip(source.chunks_exact(size)) {
        for (out, three) in out.iter_mut().skip(1).zip(line.windows(3)) {
            *out = (three[0] + three[1] + three[2]) / 3.0;
        }
    }
    let source = image.to_vec();
    let planes = image.chunks_exact_mut(size * size).zip(source.chunks_exact(size * size));
    for (out, plane) in planes {
        for y in 1..size - 1 {
            let around = &plane[(y - 1) * size..(y + 2) * size];
            for x in 0..size {
                out[y * size + x] = (around[x] + around[size + x] + around[2 * size + x]) / 3.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::noise::keyed_rng;

    #[test]
    fn colours_and_places_stay_about_what_they_were() {
        const SIZE: usize = 32;
        // Dark on the left, bright on the right, and the other way round in the second plane.
        let value =
            |plane: usize, x: usize| if (x < SIZE / 2) == (plane == 1) { 0.7 } else { -0.7 };
        let image: Vec<f32> =
            (0..3 * SIZE * SIZE).map(|i| value(i / (SIZE * SIZE), i % SIZE)).collect();
        let mut seen = [0, 0];
        for index in 0..40 {
            let mut augmented = image.clone();
            augment(SIZE, &mut augmented, &mut keyed_rng(1, 2, 3, index));
            let at = |plane: usize, x: usize| augmented[(plane * SIZE + SIZE / 2) * SIZE + x];
            // Only a mirror may change the sides, of all planes together.
            let is_mirrored = at(0, 2) > 0.0;
            seen[usize::from(is_mirrored)] += 1;
            for (plane, x) in [(0, 2), (0, SIZE - 3), (1, 2), (1, SIZE - 3), (2, 2)] {
                let expected = value(plane, if is_mirrored { SIZE - 1 - x } else { x });
                assert!((at(plane, x) - expected).abs() < 0.6, "{index}: {}", at(plane, x));
            }
            assert_ne!(augmented, image);
        }
        assert!(seen[0] > 5 && seen[1] > 5, "{seen:?}");
    }
}
