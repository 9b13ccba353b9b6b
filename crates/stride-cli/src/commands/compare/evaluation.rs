//! How far the pictures of a model are from real ones, by step count.

use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use stride::image::RgbImage;
use stride::pipeline::{GenerateError, GenerateRequest, Pipeline};
use stride_data::{ImageFolder, ImageSet};
use stride_eval::Features;
use stride_eval::frechet::{EpsilonRule, frechet_distance};
use stride_eval::statistics::Gaussian;
use stride_kernels::workers::{Workers, split_evenly};
use stride_train::RunConfig;

use super::features::{self, features};
use super::plan::Side;
use super::stop_here;
use crate::model_folder::Model;
use crate::output::write_whole;

/// Step counts of the table.
pub(super) const STEP_COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 128];

/// Real pictures that are read, at most.
const MAX_REFERENCE: usize = 4096;
/// Real pictures decoded at once.
const CHUNK: usize = 128;

/// Compares samples with real pictures.
pub(super) struct Evaluator {
    /// A caption for every sample.
    captions: Vec<String>,
    reference: Gaussian,
    floor: f64,
    workers: Workers,
}

/// What was measured with one step count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StepResult {
    /// Steps.
    pub(super) steps: usize,
    /// Frechet distance from the real pictures.
    pub(super) frechet_distance: f64,
    /// Seconds per picture with all cores at work, decoding included.
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

impl Evaluator {
    /// Reads captions and real pictures, spread evenly over the data set.
    pub(super) fn new(config: &RunConfig, samples: usize) -> Result<Self> {
        let folder = ImageFolder::open(&config.data.dir, config.data.max_images)?;
        let captions = spread(&folder, samples).images.into_iter();
        // Every second picture is the reference; the others tell how near real ones come.
        let num_real = folder.images.len().min(MAX_REFERENCE);
        let real = of_pictures(&spread(&folder, num_real), config.data.resolution)?;
        let every_second = |first| real.iter().skip(first).step_by(2).copied();
        let (reference, others): (Vec<_>, Vec<_>) =
            (every_second(0).collect(), every_second(1).take(samples).collect());
        if others.len() < 2 {
            bail!(
                "{}: expected at least 4 pictures to compare with, found {}",
                config.data.dir.display(),
                real.len()
            );
        }
        let reference = gaussian(&reference)?;
        Ok(Self {
            captions: captions.map(|mut image| image.captions.swap_remove(0)).collect(),
            floor: distance(&reference, &others)?,
            reference,
            workers: Workers::per_core()?,
        })
    }

    /// The distance of real pictures from others, as many as there are samples or fewer.
    pub(super) fn floor(&self) -> f64 {
        self.floor
    }

    /// Draws and compares the samples of every step count that is not in the run folder yet.
    ///
    /// Sample i has seed i and its own caption, without guidance, for every model and step count.
    pub(super) fn evaluate(
        &mut self,
        side: &Side,
        model: &Model,
        stop: &AtomicBool,
    ) -> Result<Vec<StepResult>> {
        let path = side.config.run_dir.join("evaluation.json");
        let empty = Evaluation {
            features: features::NAME.to_owned(),
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
            let drawn = self.draw(&model.pipeline, steps, stop)?;
            let result = StepResult {
                steps,
                frechet_distance: distance(&self.reference, &drawn)?,
                seconds_per_image: start.elapsed().as_secs_f64() / drawn.len() as f64,
            };
            let StepResult { frechet_distance, seconds_per_image, .. } = result;
            tracing::info!(
                "{}, {steps} steps: distance {frechet_distance:.4}, {seconds_per_image:.3} s a picture",
                side.name
            );
            evaluation.results.push(result);
            write_whole(&path, &serde_json::to_vec_pretty(&evaluation)?)?;
        }
        Ok(evaluation.results)
    }

    /// The features of all samples.
    fn draw(
        &self,
        pipeline: &Pipeline,
        num_steps: usize,
        stop: &AtomicBool,
    ) -> Result<Vec<[f64; features::SIZE]>> {
        let shares = split_evenly(self.captions.len(), self.workers.count());
        let of_share = |range: std::ops::Range<usize>| {
            let mut found = Vec::with_capacity(range.len());
            for index in range {
                let request = GenerateRequest {
                    prompt: self.captions[index].clone(),
                    negative_prompt: None,
                    num_steps,
                    cfg_scale: 1.0,
                    seed: index as u64,
                    count: 1,
                };
                let images = generate(pipeline, &request, stop)?;
                found.extend(images.iter().map(features));
            }
            Ok::<_, GenerateError>(found)
        };
        let mut all = Vec::with_capacity(self.captions.len());
        for found in self.workers.run(shares, of_share) {
            stop_here(stop)?;
            all.extend(found?);
        }
        Ok(all)
    }
}

fn gaussian(features: &[[f64; features::SIZE]]) -> Result<Gaussian> {
    let values = features.iter().flatten().map(|&value| value as f32).collect();
    Ok(Gaussian::of(&Features::new(features::NAME, features::SIZE, values)?)?)
}

fn distance(reference: &Gaussian, features: &[[f64; features::SIZE]]) -> Result<f64> {
    Ok(frechet_distance(reference, &gaussian(features)?, EpsilonRule::None)?)
}

/// The pictures of a request, unless the user stops.
pub(super) fn generate(
    pipeline: &Pipeline,
    request: &GenerateRequest,
    stop: &AtomicBool,
) -> Result<Vec<RgbImage>, GenerateError> {
    let images = pipeline.generate(request, &mut |_| match stop.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    Ok(images.into_iter().map(|generated| generated.image).collect())
}

/// `count` images, evenly over the folder; where it has fewer, they are repeated.
fn spread(folder: &ImageFolder, count: usize) -> ImageFolder {
    let total = folder.images.len();
    let images = (0..count).map(|i| folder.images[i * total / count].clone()).collect();
    ImageFolder { images }
}

/// The features of all pictures of a folder.
fn of_pictures(folder: &ImageFolder, resolution: usize) -> Result<Vec<[f64; features::SIZE]>> {
    let mut found = Vec::with_capacity(folder.images.len());
    for chunk in folder.images.chunks(CHUNK) {
        let set = ImageSet::load(&ImageFolder { images: chunk.to_vec() }, resolution)?;
        for index in 0..set.len() {
            let mut pixels = vec![0.0; 3 * resolution * resolution];
            set.crop(index, 0, 0, resolution, &mut pixels);
            let shape = [1, 3, resolution, resolution];
            let pixels = Tensor::from_data(TensorData::new(pixels, shape), &Device::flex());
            found.extend(RgbImage::from_tensor(pixels).iter().map(features));
        }
    }
    Ok(found)
}
