//! What transformer training reads: cached latents and tokenised captions.

use std::fs;
use std::path::Path;

use stride::noise::{below, keyed_rng, purpose};
use stride::tokenizer::{ClipTokenizer, Vocabulary};
use stride::vae::Autoencoder;
use stride_data::{Fingerprint, ImageFolder, ImageSet, LatentCache, LatentShape};
use stride_kernels::workers::{Workers, split_evenly};

use burn::tensor::{Device, Tensor, TensorData};

use crate::TrainError;
use crate::autoencoder_folder;
use crate::config::DataConfig;
use crate::progress::Progress;

/// Images decoded and encoded between two reports of progress, per worker.
const ENCODE_BATCH: usize = 8;

/// Latents and captions of a data set; the last `held_out` images are for evaluation.
pub(crate) struct DitData {
    pub(crate) latents: LatentCache,
    pub(crate) vocabulary: Vocabulary,
    /// The captions of every image in rows of the vocabulary; the first describes it in full.
    captions: Vec<Vec<Vec<u32>>>,
    /// The empty caption.
    empty: Vec<u32>,
    /// First captions as text, for the sheets.
    pub(crate) texts: Vec<String>,
    held_out: usize,
}

impl DitData {
    /// Opens the folder, reads or makes the latents, and tokenises the captions.
    pub(crate) fn load(
        config: &DataConfig,
        autoencoder: &Autoencoder,
        autoencoder_dir: &Path,
        cache: &Path,
        device: &Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let folder = config.open()?;
        let key = cache_key(&folder, config.resolution, autoencoder_dir)?;
        let latents = LatentCache::open_or_make(cache, key, || {
            let latents = encode(&folder, config.resolution, autoencoder, device, progress)?;
            let captions = token_ids(&folder)?;
            Ok::<_, TrainError>(LatentCache::new(latents.0, latents.1, captions))
        })?;
        let images = 0..latents.len();
        let all = images.clone().flat_map(|image| latents.captions(image)).flatten();
        let vocabulary = Vocabulary::from_token_ids(all.copied());
        let rows = |ids: &Vec<u32>| vocabulary.rows(ids);
        let captions =
            images.map(|image| latents.captions(image).iter().map(rows).collect()).collect();
        let empty = rows(&ClipTokenizer::new()?.encode("")?.ids);
        let texts = folder.images.iter().map(|image| image.captions[0].clone()).collect();
        let held_out = config.held_out;
        Ok(Self { latents, vocabulary, captions, empty, texts, held_out })
    }

    /// The same data with captions in CLIP's own token ids, for a text encoder that has them all.
    pub(crate) fn with_full_vocabulary(mut self) -> Result<Self, TrainError> {
        self.vocabulary = Vocabulary::full();
        let images = 0..self.latents.len();
        self.captions = images.map(|image| self.latents.captions(image).to_vec()).collect();
        self.empty = ClipTokenizer::new()?.encode("")?.ids;
        Ok(self)
    }

    /// Images to train on.
    pub(crate) fn num_train(&self) -> usize {
        self.latents.len() - self.held_out
    }

    /// The image that training visits as number `visit`: every epoch is a permutation of its own.
    pub(crate) fn image_at(&self, seed: u64, visit: u64) -> usize {
        let n = self.num_train() as u64;
        permuted(seed, visit / n, visit % n, n) as usize
    }

    /// A caption of an image, drawn by `rng`.
    pub(crate) fn caption(&self, image: usize, rng: &mut stride::noise::ChaCha8Rng) -> &[u32] {
        let captions = &self.captions[image];
        &captions[below(rng, captions.len())]
    }

    /// The caption that describes an image in full.
    pub(crate) fn full_caption(&self, image: usize) -> &[u32] {
        &self.captions[image][0]
    }

    /// The empty caption.
    pub(crate) fn empty_caption(&self) -> &[u32] {
        &self.empty
    }
}

/// The place of `index` in a permutation of `0..n` that depends on seed and epoch alone.
///
/// A Feistel network over the next even number of bits, walked until it lands inside the range:
/// no list has to be kept, and any visit can be looked up after a resume.
fn permuted(seed: u64, epoch: u64, index: u64, n: u64) -> u64 {
    let half_bits = (64 - n.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half_bits) - 1;
    let mut value = index;
    loop {
        let (mut left, mut right) = (value >> half_bits, value & mask);
        for round in 0..4 {
            let mut rng = keyed_rng(seed, purpose::DATA_ORDER, epoch, (round << 32) | right);
            (left, right) = (right, left ^ below(&mut rng, mask as usize + 1) as u64);
        }
        value = (left << half_bits) | right;
        if value < n {
            return value;
        }
    }
}

/// The CLIP token ids of every caption of every image.
fn token_ids(folder: &ImageFolder) -> Result<Vec<Vec<Vec<u32>>>, TrainError> {
    let tokenizer = ClipTokenizer::new()?;
    let of_image = |captions: &Vec<String>| {
        captions.iter().map(|caption| Ok(tokenizer.encode(caption)?.ids)).collect()
    };
    folder.images.iter().map(|image| of_image(&image.captions)).collect()
}

/// Fingerprint of everything the latents depend on.
fn cache_key(
    folder: &ImageFolder,
    resolution: usize,
    autoencoder_dir: &Path,
) -> Result<Fingerprint, TrainError> {
    let mut key = folder.fingerprint()?.with(&resolution.to_le_bytes());
    for path in autoencoder_folder::files(autoencoder_dir)? {
        key = key.with(&fs::read(&path).map_err(TrainError::io(&path))?);
    }
    Ok(key)
}

fn encode(
    folder: &ImageFolder,
    resolution: usize,
    autoencoder: &Autoencoder,
    device: &Device,
    progress: &mut dyn Progress,
) -> Result<(LatentShape, Vec<f32>), TrainError> {
    let workers =
        Workers::per_core().map_err(|e| TrainError::Threads { problem: e.to_string() })?;
    let total = folder.images.len();
    let chunk = ENCODE_BATCH * workers.count();
    let mut values: Vec<f32> = Vec::new();
    let mut shape = LatentShape { channels: 0, height: 0, width: 0 };
    let start = std::time::Instant::now();
    for first in (0..total).step_by(chunk) {
        let part =
            ImageFolder { images: folder.images[first..(first + chunk).min(total)].to_vec() };
        let shares = split_evenly(part.images.len(), workers.count());
        let encoded = workers.run(shares, |range| {
            let part = ImageFolder { images: part.images[range].to_vec() };
            let images = ImageSet::load(&part, resolution)?;
            let size = 3 * resolution * resolution;
            let mut pixels = vec![0.0; images.len() * size];
            for (index, out) in pixels.chunks_exact_mut(size).enumerate() {
                images.crop(index, 0, 0, resolution, out);
            }
            let shape = [images.len(), 3, resolution, resolution];
            let latents =
                autoencoder.encode(Tensor::from_data(TensorData::new(pixels, shape), device));
            let [_, channels, height, width] = latents.dims();
            let values: Vec<f32> = latents.into_data().iter::<f32>().collect();
            Ok::<_, TrainError>((LatentShape { channels, height, width }, values))
        });
        for part in encoded {
            let (part_shape, part_values) = part?;
            shape = part_shape;
            values.extend(part_values);
        }
        let done = (first + chunk).min(total);
        if (first / chunk) % 64 == 63 || done == total {
            let seconds = start.elapsed().as_secs_f64();
            let left = seconds / done as f64 * (total - done) as f64;
            progress.message(&format!("encoded {done} of {total} images, {left:.0} s left"));
        }
    }
    Ok((shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_image_once_in_its_own_order() {
        for n in [1, 2, 7, 64, 1000] {
            let order = |epoch| (0..n).map(|i| permuted(3, epoch, i, n)).collect::<Vec<_>>();
            let mut sorted = order(0);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            assert!(n < 64 || order(0) != order(1));
        }
    }
}
