//! A prepared folder in memory: what training reads.

use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use stride::noise::{ChaCha8Rng, fill_normal};

use super::manifest::{self, PreparedHeader, PreparedImage};
use super::shard::{LatentShape, Layout, Shard};
use super::store::shard_path;
use crate::DataError;
use crate::holdout::train_images;

/// Latents, captions and tokens of a prepared folder; the latents stay in f16.
///
/// 30,000 images of 256x256 pixels with four latent channels, mirror images and variances take 1 GB.
pub struct PreparedSet {
    path: PathBuf,
    header: PreparedHeader,
    layout: Layout,
    images: Vec<PreparedImage>,
    captions: Vec<Vec<Vec<u32>>>,
    latents: Vec<f16>,
}

/// An image or its mirror image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The image itself.
    Plain,
    /// Flipped left to right.
    Mirrored,
}

impl PreparedSet {
    /// Reads a prepared folder, at most `max_images` from the start.
    ///
    /// # Errors
    /// The folder is unfinished, a part of a set, or a file of it is damaged.
    pub fn open(dir: &Path, max_images: Option<usize>) -> Result<Self, DataError> {
        let header = PreparedHeader::read(dir)?;
        if let Some(part) = header.part {
            return Err(DataError::Part { path: dir.to_owned(), count: part.count });
        }
        let mut images = manifest::read(dir, Some(header.manifest_sha256))?;
        images.truncate(max_images.unwrap_or(usize::MAX));
        let captions = manifest::read_tokens(dir, header.tokens_sha256, images.len())?;
        let layout = header.layout();
        let mut latents = Vec::new();
        for (number, expected) in images.chunks(header.shard_size.max(1)).enumerate() {
            let path = shard_path(dir, number);
            let read = Shard::read(&path, layout)?;
            let fits = |shard: &Shard| {
                let (mut keys, rows) = (shard.keys.iter(), expected.iter());
                rows.map(|image| &image.key).all(|key| keys.next() == Some(key))
            };
            let Some((_, bytes)) = read.filter(|(shard, _)| fits(shard)) else {
                let problem = "its images are not those of the manifest".to_owned();
                return Err(DataError::Damaged { path, problem });
            };
            let (numbers, _) = bytes.as_chunks();
            let numbers = numbers.iter().take(expected.len() * layout.row_len());
            latents.extend(numbers.map(|&bytes| f16::from_le_bytes(bytes)));
        }
        Ok(Self { path: dir.to_owned(), header, layout, images, captions, latents })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the folder was made.
    pub fn header(&self) -> &PreparedHeader {
        &self.header
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Shape of every latent.
    pub fn shape(&self) -> LatentShape {
        self.layout.shape
    }

    /// The line of the manifest for an image.
    pub fn image(&self, index: usize) -> &PreparedImage {
        &self.images[index]
    }

    /// Token ids of every caption of an image, the one for validation first.
    pub fn captions(&self, index: usize) -> &[Vec<u32>] {
        &self.captions[index]
    }

    /// Writes the mean of an image's posterior, `[C, h, w]`.
    pub fn write_mean(&self, index: usize, out: &mut [f32]) {
        self.moment(index, View::Plain, 0).convert_to_f32_slice(out);
    }

    /// Writes a latent drawn from an image's posterior, `[C, h, w]`:
    /// mean + exp(logvar / 2) noise; the latent itself where the encoder is deterministic.
    ///
    /// # Panics
    /// A mirrored view is asked for and the folder has none.
    pub fn write_sample(&self, index: usize, view: View, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        self.moment(index, view, 0).convert_to_f32_slice(out);
        if self.header.variational {
            let mut noise = vec![0.0; out.len()];
            fill_normal(rng, &mut noise);
            let logvar = self.moment(index, view, 1);
            for ((value, noise), logvar) in out.iter_mut().zip(&noise).zip(logvar) {
                *value += (0.5 * logvar.to_f32()).exp() * noise;
            }
        }
    }

    /// The images to train on, where the last `held_out` are kept out of training: none whose latent is that of one of
    /// these, or nearly so, as that of the same image in another encoding is.
    pub fn train_images(&self, held_out: usize) -> Vec<usize> {
        train_images(self.len(), held_out, |index| {
            let mut mean = vec![0.0; self.layout.shape.len()];
            self.write_mean(index, &mut mean);
            mean
        })
    }

    /// Mean (0) or log-variance (1).
    fn moment(&self, index: usize, view: View, moment: usize) -> &[f16] {
        let Layout { views, moments, shape } = self.layout;
        let view = usize::from(view == View::Mirrored);
        assert!(view < views, "a prepared folder with mirror images");
        let place = (index * views + view) * moments + moment;
        &self.latents[place * shape.len()..][..shape.len()]
    }
}
