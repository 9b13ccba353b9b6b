//! Counter-based randomness: the same key gives the same numbers on every machine and batch size.

use burn::tensor::{Device, Tensor, TensorData};
pub use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator keyed by four numbers, so that a draw depends on what it is for and never on
/// the order of calls: `(seed, purpose, step, index)`.
///
/// Two keys that differ in any number give independent streams (ChaCha with 8 rounds; the
/// numbers are its 256-bit key).
pub fn keyed_rng(seed: u64, purpose: u64, step: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose, step, index]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A number drawn uniformly from `[0, 1)`, with 53 bits.
pub fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// An index drawn uniformly from `0..bound`; `bound` must not be zero.
///
/// The bias of the multiplication method is below `bound / 2^64`.
pub fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

/// A number drawn from N(0, 1).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    normal_pair(rng).0
}

/// Fills a slice with independent draws from N(0, 1) (Box-Muller, computed in f64).
pub fn fill_normal(rng: &mut ChaCha8Rng, out: &mut [f32]) {
    for pair in out.chunks_mut(2) {
        let (a, b) = normal_pair(rng);
        pair[0] = a as f32;
        if let Some(second) = pair.get_mut(1) {
            *second = b as f32;
        }
    }
}

/// The starting noise x_0 of one image: `[C, H, W]` draws from N(0, 1) keyed by the seed alone.
///
/// Image k of a batch with seed s is drawn with seed s + k, whatever the batch size and device.
pub fn gaussian(seed: u64, shape: [usize; 3], device: &Device) -> Tensor<3> {
    gaussian_at_step(seed, 0, shape, device)
}

/// The noise that a stochastic sampler adds to one image at a step, from 1; step 0 is
/// [`gaussian`].
pub fn gaussian_at_step(seed: u64, step: u64, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let mut values = vec![0.0; shape.iter().product()];
    fill_normal(&mut keyed_rng(seed, purpose::SAMPLING, step, 0), &mut values);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The noise between that of two images, on the arc from one to the other, so that its length fits what the network
/// was trained on: (sin((1-f) w) a + sin(f w) b) / sin w, w the angle between a and b.
///
/// `fraction` f in [0, 1] is 0 at the first seed. Shape and step as in [`gaussian_at_step`].
///
/// # Source
/// Animating Rotation with Quaternion Curves (Shoemake 1985), equation 3.3.
pub fn gaussian_between(
    seeds: [u64; 2],
    fraction: f64,
    step: u64,
    shape: [usize; 3],
    device: &Device,
) -> Tensor<3> {
    let [a, b] = seeds.map(|seed| {
        let mut values = vec![0.0f32; shape.iter().product()];
        fill_normal(&mut keyed_rng(seed, purpose::SAMPLING, step, 0), &mut values);
        values
    });
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let (wa, wb) = if angle.sin() < 1e-6 {
        (1.0 - fraction, fraction)
    } else {
        (((1.0 - fraction) * angle).sin() / angle.sin(), (fraction * angle).sin() / angle.sin())
    };
    let mix = |(&a, &b): (&f32, &f32)| (wa * f64::from(a) + wb * f64::from(b)) as f32;
    let values: Vec<f32> = a.iter().zip(&b).map(mix).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// What a keyed generator is for: the second number of its key.
pub mod purpose {
    /// Starting noise of a generated image.
    pub const SAMPLING: u64 = 0;
    /// Order in which training visits the data.
    pub const DATA_ORDER: u64 = 1;
    /// Noise, time, step size and caption choice of one training row.
    pub const TRAINING_ROW: u64 = 2;
    /// Crops and latent noise of autoencoder training.
    pub const AUTOENCODER_ROW: u64 = 3;
    /// Noise of held-out evaluation during training.
    pub const EVALUATION: u64 = 4;
    /// Augmentation of an image in classifier training.
    pub const CLASSIFIER_ROW: u64 = 5;
    /// Choice of an image in classifier training.
    pub const CLASSIFIER_IMAGE: u64 = 6;
    /// Wording of a caption.
    pub const CAPTION: u64 = 7;
    /// Mirroring and latent of the image of one training row.
    pub const TRAINING_LATENT: u64 = 8;
    /// What a completion says of the attributes that a prompt leaves open.
    pub const COMPLETION: u64 = 9;
    /// Choice among the alternatives of a prompt.
    pub const ALTERNATIVE: u64 = 10;
}

fn normal_pair(rng: &mut ChaCha8Rng) -> (f64, f64) {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * uniform(rng)).sin_cos();
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_alone_decides() {
        let draw = |index| normal(&mut keyed_rng(5, purpose::TRAINING_ROW, 7, index));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn normal_draws_have_the_right_moments() {
        let mut values = vec![0.0f32; 100_001];
        fill_normal(&mut keyed_rng(1, 2, 3, 4), &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let moment = |p: i32| values.iter().map(|&v| f64::from(v).powi(p)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.15, "fourth moment {}", moment(4));
    }

    #[test]
    fn noise_between_seeds_begins_and_ends_there_and_keeps_its_length() {
        let device = Device::flex();
        let shape = [4, 16, 16];
        let values = |tensor: Tensor<3>| crate::floats::floats(tensor);
        let at = |seeds, fraction| values(gaussian_between(seeds, fraction, 0, shape, &device));
        let alone = |seed| values(gaussian(seed, shape, &device));
        assert_eq!(at([3, 4], 0.0), alone(3));
        assert_eq!(at([3, 4], 1.0), alone(4));
        assert_eq!(at([3, 3], 0.5), alone(3));
        let length = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
        let (middle, end) = (length(&at([3, 4], 0.5)), length(&alone(3)));
        assert!((middle / end - 1.0).abs() < 0.05, "{middle} {end}");
    }

    #[test]
    fn indices_cover_their_range_evenly() {
        let mut rng = keyed_rng(0, 0, 0, 0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7)] += 1;
        }
        assert!(counts.iter().all(|&c| (9_500..10_500).contains(&c)), "{counts:?}");
    }
}
