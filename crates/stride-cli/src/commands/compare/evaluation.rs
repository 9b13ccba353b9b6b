//! How far the images of a model are from real ones, by step count.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use stride::image::RgbImage;
use stride::pipeline::{GenerateRequest, Pipeline, StepEvent};
use stride_data::{CaptionedImage, ImageFolder, decode_rgb};
use stride_eval::attribute_accuracy::AttributeAccuracy;
use stride_eval::frechet::{EpsilonRule, frechet_distance};
use stride_eval::statistics::Gaussian;
use stride_eval::{Features, Judge};
use stride_kernels::workers::{Workers, split_evenly};
use stride_train::RunConfig;

use super::plan::Side;
use super::stop_here;
use crate::model_folder::Model;
use crate::output::write_whole;

/// Step counts of the table.
pub(super) const STEP_COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 128];

/// Real images that are read, at most.
const MAX_REFERENCE: usize = 4096;
/// Images that a core decodes and judges at once.
const BATCH: usize = 16;

/// Compares samples with real images, and with their captions.
pub(super) struct Evaluator {
    judge: Judge,
    /// A caption for every sample, and what is true of it.
    captions: Vec<CaptionedImage>,
    reference: Gaussian,
    real: Quality,
    workers: Workers,
}

/// How good a set of images is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Quality {
    /// Frechet distance from the real images of the reference.
    pub(super) frechet_distance: f64,
    /// How often the images show what their captions name; of nothing where the data names no attributes.
    pub(super) accuracy: AttributeAccuracy,
}

/// What was measured with one step count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StepResult {
    /// Steps.
    pub(super) steps: usize,
    #[serde(flatten)]
    pub(super) quality: Quality,
    /// Seconds per image with all cores at work, decoding included.
    pub(super) seconds_per_image: f64,
}

/// What is kept in a run folder, so that a stopped comparison goes on.
#[derive(Serialize, Deserialize, PartialEq)]
struct Evaluation {
    features: String,
    samples: usize,
    model_hash: String,
    results: Vec<StepResult>,
}

/// What the judge sees in images, and what it misses.
struct Judged {
    features: Features,
    accuracy: AttributeAccuracy,
}

impl Evaluator {
    /// Reads captions and real images, spread evenly over the data set.
    pub(super) fn new(config: &RunConfig, judge: Judge, samples: usize) -> Result<Self> {
        let folder = ImageFolder::open(config.data.dir()?, config.data.max_images)?;
        let captions = spread(&folder, samples).images;
        // Every second image is the reference; the others tell how near real ones come.
        let real = spread(&folder, folder.images.len().min(MAX_REFERENCE)).images;
        let every_second = |first| real.iter().skip(first).step_by(2).cloned();
        let (reference, others): (Vec<_>, Vec<_>) =
            (every_second(0).collect(), every_second(1).take(samples).collect());
        if others.len() < 2 {
            bail!(
                "{}: expected at least 4 images to compare with, found {}",
                config.data.dir()?.display(),
                real.len()
            );
        }
        let workers = Workers::per_core()?;
        let resolution = config.data.resolution;
        let decode = |image: &CaptionedImage| {
            let pixels = decode_rgb(image, resolution)?;
            Ok(RgbImage { width: resolution, height: resolution, pixels })
        };
        let reference = judge_all(&judge, &workers, &reference, &|_, image| decode(image))?;
        let others = judge_all(&judge, &workers, &others, &|_, image| decode(image))?;
        let reference = Gaussian::of(&reference.features)?;
        let frechet_distance = distance(&reference, &others.features)?;
        let real = Quality { frechet_distance, accuracy: others.accuracy };
        Ok(Self { judge, captions, reference, real, workers })
    }

    /// What as many real images as there are samples, or fewer, come to beside the others.
    pub(super) fn real(&self) -> &Quality {
        &self.real
    }

    /// What the features are called.
    pub(super) fn features(&self) -> &str {
        self.judge.name()
    }

    /// Draws and compares the samples of every step count that is not in the run folder yet.
    ///
    /// Sample i has seed i and its own caption, without guidance, for every model and step count.
    pub(super) fn evaluate(
        &self,
        side: &Side,
        model: &Model,
        stop: &AtomicBool,
    ) -> Result<Vec<StepResult>> {
        let path = side.config.run_dir.join("evaluation.json");
        let empty = Evaluation {
            features: self.features().to_owned(),
            samples: self.captions.len(),
            model_hash: model.hash.clone(),
            results: Vec::new(),
        };
        let written: Option<Evaluation> =
            fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_same = |old: &Evaluation| {
            old.features == empty.features
                && old.samples == empty.samples
                && old.model_hash == empty.model_hash
        };
        let mut evaluation = written.filter(is_same).unwrap_or(empty);
        for steps in STEP_COUNTS {
            if evaluation.results.iter().any(|result| result.steps == steps) {
                continue;
            }
            let start = Instant::now();
            let draw = |index: usize, image: &CaptionedImage| {
                draw(&model.pipeline, &image.captions[0], index as u64, steps, stop)
            };
            let drawn = judge_all(&self.judge, &self.workers, &self.captions, &draw);
            stop_here(stop)?;
            let drawn = drawn?;
            let frechet_distance = distance(&self.reference, &drawn.features)?;
            let seconds_per_image = start.elapsed().as_secs_f64() / self.captions.len() as f64;
            tracing::info!(
                "{}, {steps} steps: distance {frechet_distance:.3}, {seconds_per_image:.3} s an image",
                side.name
            );
            let quality = Quality { frechet_distance, accuracy: drawn.accuracy };
            evaluation.results.push(StepResult { steps, quality, seconds_per_image });
            write_whole(&path, &serde_json::to_vec_pretty(&evaluation)?)?;
        }
        Ok(evaluation.results)
    }
}

/// Makes an image for every image of a listing, a share on each core, and judges it.
fn judge_all(
    judge: &Judge,
    workers: &Workers,
    images: &[CaptionedImage],
    image: &(dyn Fn(usize, &CaptionedImage) -> Result<RgbImage> + Sync),
) -> Result<Judged> {
    let of_share = |range: Range<usize>| {
        let features = Features::empty(judge.config().feature_size);
        let mut judged = Judged { features, accuracy: AttributeAccuracy::default() };
        for first in range.clone().step_by(BATCH) {
            let batch = first..(first + BATCH).min(range.end);
            let drawn = batch.clone().map(|index| image(index, &images[index]));
            let verdicts = judge.look(&drawn.collect::<Result<Vec<_>>>()?)?;
            judged.features.extend(&verdicts.features)?;
            for (image, choices) in images[batch].iter().zip(&verdicts.choices) {
                let attributes = &judge.config().attributes;
                judged.accuracy.add(&image.captions[0], &image.attributes, attributes, choices);
            }
        }
        anyhow::Ok(judged)
    };
    let shares = split_evenly(images.len(), workers.count());
    let features = Features::empty(judge.config().feature_size);
    let mut all = Judged { features, accuracy: AttributeAccuracy::default() };
    for share in workers.run(shares, of_share) {
        let share = share?;
        all.features.extend(&share.features)?;
        all.accuracy.merge(&share.accuracy);
    }
    Ok(all)
}

fn distance(reference: &Gaussian, features: &Features) -> Result<f64> {
    Ok(frechet_distance(reference, &Gaussian::of(features)?, EpsilonRule::None)?)
}

/// The image of a caption, without guidance; fails if the user asked to stop.
pub(super) fn draw(
    pipeline: &Pipeline,
    caption: &str,
    seed: u64,
    num_steps: usize,
    stop: &AtomicBool,
) -> Result<RgbImage> {
    draw_seen(pipeline, caption, seed, num_steps, stop, &mut |_| {})
}

/// [`draw`] with a look at the image after every step.
pub(super) fn draw_seen(
    pipeline: &Pipeline,
    caption: &str,
    seed: u64,
    num_steps: usize,
    stop: &AtomicBool,
    seen: &mut dyn FnMut(StepEvent<'_>),
) -> Result<RgbImage> {
    let request = GenerateRequest {
        prompt: caption.to_owned(),
        negative_prompt: None,
        num_steps,
        cfg_scale: 1.0,
        seed,
        count: 1,
    };
    let mut images = pipeline.generate(&request, &mut |event| {
        seen(event);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    Ok(images.swap_remove(0).image)
}

/// `count` images, evenly over the folder; where it has fewer, they are repeated.
fn spread(folder: &ImageFolder, count: usize) -> ImageFolder {
    let total = folder.images.len();
    let images = (0..count).map(|i| folder.images[i * total / count].clone()).collect();
    ImageFolder { images }
}
