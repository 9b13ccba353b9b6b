//! The few numbers, at many step counts, by which `stride compare` sets models side by side.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use stride_data::{CaptionedImage, ImageFolder};
use stride_files::write_whole;
use stride_kernels::workers::Workers;

use crate::attribute_accuracy::AttributeAccuracy;
use crate::error::at_least;
use crate::evaluator::{FeatureNetworks, Reference, SampleFeatures, count_attributes, read_image};
use crate::frechet::{EpsilonRule, frechet_distance};
use crate::generator::{Generator, SampleRequest, generate_all};
use crate::protocol::Protocol;
use crate::statistics::Gaussian;
use crate::{AttributeClassifier, EvalError};

/// Step counts of a comparison.
pub const STEP_COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 128];

/// Real images that are read, at most.
const MAX_REAL: usize = 4096;
/// A classifier's features do not depend on it.
const PROTOCOL: Protocol = Protocol::PytorchFid;

/// Compares generated images with real ones, and with their captions.
pub struct StepEvaluator {
    networks: FeatureNetworks,
    /// A caption for every sample, and what is true of it.
    captions: ImageFolder,
    reference: Reference,
    real: Quality,
    workers: Workers,
}

/// How good a set of images is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Frechet distance from the real images of the reference.
    pub frechet_distance: f64,
    /// How often the images show what their captions name; of nothing where the data names no attributes.
    pub accuracy: AttributeAccuracy,
}

/// What was measured with one step count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// Steps.
    pub steps: usize,
    /// The quality of the images.
    #[serde(flatten)]
    pub quality: Quality,
    /// Seconds per image with all cores at work, decoding included.
    pub seconds_per_image: f64,
}

/// What is kept in a file, so that a stopped comparison goes on.
#[derive(Serialize, Deserialize, PartialEq)]
struct Evaluation {
    features: String,
    samples: usize,
    model_hash: String,
    results: Vec<StepResult>,
}

impl StepEvaluator {
    /// Takes `samples` captions and the real images, evenly spaced over the data set.
    ///
    /// # Errors
    /// There are fewer than four real images, or one cannot be decoded.
    pub fn new(
        data: &ImageFolder,
        resolution: usize,
        classifier: AttributeClassifier,
        samples: usize,
        workers: Workers,
    ) -> Result<Self, EvalError> {
        let networks = FeatureNetworks::of_classifier(classifier);
        let captions = evenly_spaced(data, samples);
        // Every second image is the reference; the others tell how near real ones come.
        let real = evenly_spaced(data, data.images.len().min(MAX_REAL)).images;
        at_least("real images to compare with", 4, real.len())?;
        let every_second = |first| real.iter().skip(first).step_by(2).cloned();
        let reference = ImageFolder { images: every_second(0).collect() };
        let others = ImageFolder { images: every_second(1).take(samples).collect() };
        let features = |folder: &ImageFolder| {
            let read = |&index: &usize| read_image(&folder.images[index], resolution);
            networks.extract_range(&workers, &(0..folder.images.len()), PROTOCOL, |indices| {
                indices.iter().map(read).collect()
            })
        };
        let reference = Reference::of_samples(features(&reference)?)?;
        let real = quality(&networks, &reference, &others, &features(&others)?)?;
        Ok(Self { networks, captions, reference, real, workers })
    }

    /// The quality of as many real images as there are samples, or fewer, against the others.
    pub fn real(&self) -> &Quality {
        &self.real
    }

    /// What the features are called.
    pub fn features(&self) -> &str {
        self.networks.classifier().map_or("", AttributeClassifier::name)
    }

    /// Measures every step count that is not in `file` yet; `observer` sees each result as it comes.
    ///
    /// Sample i has seed i and its own caption, without guidance, for every model and step count.
    ///
    /// # Errors
    /// An image cannot be generated, the file cannot be written, or `stop` was set ([`EvalError::Interrupted`]).
    pub fn evaluate(
        &self,
        generator: &dyn Generator,
        model_hash: &str,
        file: &Path,
        stop: &AtomicBool,
        observer: &mut dyn FnMut(&StepResult),
    ) -> Result<Vec<StepResult>, EvalError> {
        let samples = self.captions.images.len();
        let empty = Evaluation {
            features: self.features().to_owned(),
            samples,
            model_hash: model_hash.to_owned(),
            results: Vec::new(),
        };
        let written: Option<Evaluation> = stride_files::read_file(file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
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
            let request = |&index: &usize| {
                let prompt = &self.captions.images[index].captions[0];
                SampleRequest { prompt, num_steps: steps, cfg_scale: 1.0, seed: index as u64 }
            };
            let features =
                self.networks.extract_range(&self.workers, &(0..samples), PROTOCOL, |indices| {
                    let requests: Vec<_> = indices.iter().map(request).collect();
                    generate_all(generator, &requests, stop)
                });
            if stop.load(Ordering::Relaxed) {
                return Err(EvalError::Interrupted);
            }
            let quality = quality(&self.networks, &self.reference, &self.captions, &features?)?;
            let seconds_per_image = start.elapsed().as_secs_f64() / samples as f64;
            let result = StepResult { steps, quality, seconds_per_image };
            observer(&result);
            evaluation.results.push(result);
            let bytes = serde_json::to_vec_pretty(&evaluation).map_err(|error| {
                EvalError::Format { path: file.display().to_string(), problem: error.to_string() }
            })?;
            write_whole(file, &bytes)?;
        }
        Ok(evaluation.results)
    }
}

/// The quality of images whose captions `captions` holds.
fn quality(
    networks: &FeatureNetworks,
    reference: &Reference,
    captions: &ImageFolder,
    samples: &SampleFeatures,
) -> Result<Quality, EvalError> {
    let gaussian = Gaussian::of(&samples.features)?;
    let frechet_distance = frechet_distance(&reference.gaussian, &gaussian, EpsilonRule::None)?;
    let accuracy = networks
        .classifier()
        .map(|classifier| count_attributes(classifier, captions, &samples.labels).0)
        .unwrap_or_default();
    Ok(Quality { frechet_distance, accuracy })
}

/// `count` images, evenly spaced over the folder; where it has fewer, they are repeated.
fn evenly_spaced(folder: &ImageFolder, count: usize) -> ImageFolder {
    let total = folder.images.len();
    let image = |i: usize| -> CaptionedImage { folder.images[i * total / count].clone() };
    ImageFolder { images: (0..count).map(image).collect() }
}
