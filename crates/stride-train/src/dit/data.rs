//! What transformer training reads: latents and tokenised captions of a prepared folder.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use stride::noise::{below, keyed_rng, purpose, uniform};
use stride::tokenizer::{ClipTokenizer, Vocabulary};
use stride_data::{
    LatentEncoder as _, LatentShape, Preparation, PrepareProgress, PreparedSet, Record, Source,
    SourceOptions, View, names_a_side,
};

use super::captions::{Captions, LateListing};
use super::masks::{self, Masks};
use crate::TrainError;
use crate::run::{DataConfig, Progress};
use crate::vae::ImageEncoder;

/// Time between two reports of how far the latents are.
const REPORT_EVERY: Duration = Duration::from_secs(15);

/// Images whose latents stand for all in a dry run.
const LOOKED_AT: usize = 64;

/// Latents and captions of a data set; the last `held_out` images are for evaluation.
pub(crate) struct DitData {
    set: PreparedSet,
    pub(crate) captions: Captions,
    pub(crate) masks: Option<Masks>,
    held_out: usize,
    /// The images to train on.
    train: Vec<usize>,
    /// Whether an image is mirrored every second time: where that is asked for and its captions fit.
    is_flipped: Vec<bool>,
}

impl DitData {
    /// Reads the prepared folder of the configuration, or brings `latent_cache` up to date with its images and
    /// reads that. Captions come in rows of `vocabulary`, or of one of their own words if there is none.
    pub(crate) fn load(
        config: &DataConfig,
        latent_cache: Option<&Path>,
        encoder: &ImageEncoder,
        vocabulary: Option<Vocabulary>,
        progress: &mut dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self, TrainError> {
        let late = config.late_captions.as_ref().map(LateListing::open).transpose()?;
        let prepared = match (&config.prepared, latent_cache) {
            (Some(prepared), _) => prepared,
            (None, Some(cache)) => {
                let source = Source::open(config.dir()?, &SourceOptions::default())?;
                let total = total(config, &source);
                // Before hours are spent on latents.
                config.check_count(total)?;
                check_names(config, &source.records()[..total], late.as_ref())?;
                prepare(config, &source, cache, encoder, progress, stop)?;
                cache
            }
            (None, None) => return Err(TrainError::NoImages),
        };
        let set = PreparedSet::open(prepared, config.max_images)?;
        check_fits(&set, config, encoder)?;
        config.check_count(set.len())?;
        Self::new(config, set, late.as_ref(), vocabulary)
    }

    /// As [`load`](Self::load), but writes nothing that stays: where latents are missing, those of the first images
    /// stand for all, and the time that all would take is told.
    pub(crate) fn look(
        config: &DataConfig,
        latent_cache: Option<&Path>,
        encoder: &ImageEncoder,
        vocabulary: Option<Vocabulary>,
        progress: &mut dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self, TrainError> {
        let (None, Some(cache)) = (&config.prepared, latent_cache) else {
            return Self::load(config, latent_cache, encoder, vocabulary, progress, stop);
        };
        let source = Source::open(config.dir()?, &SourceOptions::default())?;
        let total = total(config, &source);
        config.check_count(total)?;
        let late = config.late_captions.as_ref().map(LateListing::open).transpose()?;
        let late = late.as_ref();
        check_names(config, &source.records()[..total], late)?;
        if let Ok(set) = PreparedSet::open(cache, config.max_images)
            && set.len() == total
            && check_fits(&set, config, encoder).is_ok()
        {
            return Self::new(config, set, late, vocabulary);
        }
        let records = &source.records()[..total];
        let vocabulary = vocabulary.map_or_else(|| vocabulary_of(records, late), Ok)?;
        let few = total.min(LOOKED_AT);
        let sample = DataConfig {
            max_images: Some(few),
            held_out: config.held_out.min(1),
            ..config.clone()
        };
        let folder = tempfile::tempdir().map_err(TrainError::io(&std::env::temp_dir()))?;
        let start = Instant::now();
        prepare(&sample, &source, folder.path(), encoder, progress, stop)?;
        let seconds = start.elapsed().as_secs_f64() / few as f64 * total as f64;
        progress.message(&format!(
            "the latents of {total} images would take about {:.1} minutes",
            seconds / 60.0
        ));
        Self::new(&sample, PreparedSet::open(folder.path(), None)?, late, Some(vocabulary))
    }

    fn new(
        config: &DataConfig,
        set: PreparedSet,
        late: Option<&LateListing<'_>>,
        vocabulary: Option<Vocabulary>,
    ) -> Result<Self, TrainError> {
        let captions = Captions::new(&set, late, vocabulary)?;
        let has_side = |captions: &[String]| captions.iter().any(|caption| names_a_side(caption));
        let is_flipped = |index: usize| {
            let image = set.image(index);
            let late = late.map(|late| late.captions(&image.name)).transpose()?;
            Ok(config.flip && !has_side(&image.captions) && !late.is_some_and(has_side))
        };
        let is_flipped = (0..set.len()).map(is_flipped).collect::<Result<Vec<_>, TrainError>>()?;
        let sided = is_flipped.iter().filter(|&&is_flipped| !is_flipped).count();
        if config.flip && sided > 0 {
            tracing::warn!("{sided} images have left or right in a caption and are not mirrored");
        }
        let train = config.check_train(set.train_images(config.held_out))?;
        let masks = config.masks.as_ref().map(|config| Masks::load(config, &set)).transpose()?;
        Ok(Self { captions, masks, held_out: config.held_out, train, is_flipped, set })
    }

    /// Shape of every latent.
    pub(crate) fn shape(&self) -> LatentShape {
        self.set.shape()
    }

    /// Images kept out of training, which follow those to train on.
    pub(crate) fn num_held_out(&self) -> usize {
        self.held_out
    }

    /// The first caption of an image as text.
    pub(crate) fn text(&self, image: usize) -> &str {
        &self.set.image(image).captions[0]
    }

    /// The name of an image.
    pub(crate) fn name(&self, image: usize) -> &str {
        &self.set.image(image).name
    }

    /// Writes the latent of an image for one training row: mirrored or not, which it returns, and drawn from what the
    /// encoder gave.
    ///
    /// The draw depends on seed, step and row alone, and takes nothing from the row's other draws.
    pub(crate) fn write_latent(&self, image: usize, at: (u64, u64, u64), out: &mut [f32]) -> View {
        let (seed, step, row) = at;
        let mut rng = keyed_rng(seed, purpose::TRAINING_LATENT, step, row);
        let is_mirrored = self.is_flipped[image] && uniform(&mut rng) < 0.5;
        let view = if is_mirrored { View::Mirrored } else { View::Plain };
        self.set.write_sample(image, view, &mut rng, out);
        view
    }

    /// Writes the most probable latent of an image, not mirrored.
    pub(crate) fn write_mean(&self, image: usize, out: &mut [f32]) {
        self.set.write_mean(image, out);
    }

    /// Images to train on.
    pub(crate) fn num_train(&self) -> usize {
        self.train.len()
    }

    /// The image that training visits as number `visit`: every epoch is a permutation of its own.
    pub(crate) fn image_at(&self, seed: u64, visit: u64) -> usize {
        let n = self.num_train() as u64;
        self.train[permuted(seed, visit / n, visit % n, n) as usize]
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

/// Images of the configuration.
fn total(config: &DataConfig, source: &Source) -> usize {
    source.records().len().min(config.max_images.unwrap_or(usize::MAX))
}

/// Checks that all images have late captions and masks, where there are any.
fn check_names(
    config: &DataConfig,
    records: &[Record],
    late: Option<&LateListing<'_>>,
) -> Result<(), TrainError> {
    let names = || records.iter().map(|record| record.name.as_str());
    if let Some(late) = late {
        late.check_names(names())?;
    }
    config.masks.as_ref().map_or(Ok(()), |masks| masks::check_names(masks, names()))
}

/// The vocabulary of captions that nobody has tokenised yet.
fn vocabulary_of(
    records: &[Record],
    late: Option<&LateListing<'_>>,
) -> Result<Vocabulary, TrainError> {
    let tokenizer = ClipTokenizer::new()?;
    let mut ids = tokenizer.encode("")?.ids;
    for record in records {
        let late = late.map(|late| late.captions(&record.name)).transpose()?;
        for caption in record.captions.iter().chain(late.unwrap_or_default()) {
            ids.extend(tokenizer.encode(caption)?.ids);
        }
    }
    Ok(Vocabulary::from_token_ids(ids))
}

/// Brings the cache up to date with the images of the configuration.
fn prepare(
    config: &DataConfig,
    source: &Source,
    cache: &Path,
    encoder: &ImageEncoder,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<(), TrainError> {
    let captions = |record: &Record| record.captions.clone();
    let mut preparation = Preparation::new(source, encoder, &captions, stop);
    preparation.max_images = config.max_images;
    preparation.mirrored = config.flip;
    let mut last = Instant::now();
    let summary = preparation.run(cache, &mut |at: PrepareProgress| {
        if last.elapsed() > REPORT_EVERY {
            last = Instant::now();
            progress.message(&at.to_string());
        }
    })?;
    let problems = source.problems().iter().chain(&summary.problems);
    let problems: Vec<_> = problems.filter(|problem| !problem.kind.is_note()).collect();
    if let Some(first) = problems.first() {
        return Err(TrainError::BrokenImages {
            path: config.dir()?.to_owned(),
            count: problems.len(),
            first: first.to_string(),
        });
    }
    if summary.was_stopped {
        return Err(TrainError::StoppedWhilePreparing);
    }
    progress.message(&summary.to_string());
    Ok(())
}

/// Checks that a prepared folder was made for this configuration.
fn check_fits(
    set: &PreparedSet,
    config: &DataConfig,
    encoder: &ImageEncoder,
) -> Result<(), TrainError> {
    let header = set.header();
    let check = |holds: bool, field, expected: String, found: String| {
        let path = set.path().to_owned();
        if holds { Ok(()) } else { Err(TrainError::Prepared { path, field, expected, found }) }
    };
    let (expected, found) = (config.resolution, header.resolution);
    check(expected == found, "resolution", expected.to_string(), found.to_string())?;
    let (expected, found) = (encoder.identity(), header.autoencoder);
    check(expected == found, "autoencoder", expected.to_string(), found.to_string())?;
    let expected = "mirror images, as data.flip = true".to_owned();
    check(header.mirrored || !config.flip, "mirrored", expected, "none".to_owned())
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
