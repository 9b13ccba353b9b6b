//! Trains a classifier of attributes on a folder of images that names them.

use std::ops::Range;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use stride::classifier::{Attribute, AttributeClassifier, AttributeClassifierConfig};
use stride::noise::{ChaCha8Rng, below, keyed_rng, purpose};
use stride::weights::{self, StoredDtype};
use stride_data::ImageSet;
use stride_kernels::workers::map_on;

use super::ClassifierTrainConfig;
use super::augment::augment;
use crate::TrainError;
use crate::attributes::{attributes_of, cross_entropy, labels_of};
use crate::initial_weights::draw_weights;
use crate::memory;
use crate::placement::{cpu, placed};
use crate::run::{LossPart, Report, RunConfig, StepInfo, StepLoss, TrainState, TrainingTask};

/// The classifier's [`TrainingTask`].
pub(crate) struct ClassifierTrainer {
    batch_size: usize,
    seed: u64,
    model_config: AttributeClassifierConfig,
    images: ImageSet,
    names: Vec<String>,
    /// The place of the value of every attribute of every image.
    labels: Vec<Vec<usize>>,
    /// The last images are for evaluation.
    held_out: usize,
    /// The images to train on.
    train: Vec<usize>,
    device: Device,
}

/// The file of the configuration.
const CONFIG: &str = "config.json";
/// Images that are classified at once per core in an evaluation.
const EVALUATION_BATCH: usize = 16;

impl ClassifierTrainer {
    /// Loads the images and draws a model for the attributes that they name.
    ///
    /// # Errors
    /// When images do not fit, or one of them does not name an attribute that the first one names.
    pub(crate) fn new(
        run: &RunConfig,
        config: &ClassifierTrainConfig,
        device: Device,
    ) -> Result<(Self, TrainState<AttributeClassifier>), TrainError> {
        let (folder, held_out) = (run.data.open()?, run.data.held_out);
        let dir = run.data.dir()?;
        let problem = |problem| TrainError::Config { path: dir.to_owned(), problem };
        let attributes = attributes_of(&folder.images).map_err(problem)?;
        let labels = folder.images.iter().map(|image| labels_of(image, &attributes));
        let labels = labels.collect::<Result<_, _>>().map_err(problem)?;
        let model_config = AttributeClassifierConfig::new(run.data.resolution, attributes);
        let model = draw_weights(&cpu(), run.seed, || model_config.init(&cpu()));
        let model = placed(model.map_err(|error| problem(error.to_string()))?, &device);
        let numbers = 3 * (run.data.resolution as u128).pow(2);
        memory::check(
            "data.resolution and classifier.batch_size",
            2 * numbers * config.batch_size as u128,
        )?;
        // A byte each.
        memory::check(
            "data.resolution and data.max_images",
            numbers * folder.images.len() as u128 / 4,
        )?;
        tracing::info!("decoding {} images", folder.images.len());
        let images = ImageSet::load(&folder, run.data.resolution)?;
        let state = TrainState::new(model, run.optimizer.clone(), &run.ema);
        let (batch_size, seed) = (config.batch_size, run.seed);
        let names = folder.images.iter().map(|image| image.name.clone()).collect();
        let train = run.data.check_train(images.train_images(held_out))?;
        Ok((
            Self { batch_size, seed, model_config, images, names, labels, held_out, train, device },
            state,
        ))
    }

    /// Numbers of an image `[3, R, R]`.
    fn image_len(&self) -> usize {
        3 * self.images.resolution().pow(2)
    }

    /// Writes an image `[3, R, R]`, augmented by the draws of a generator if there is one.
    fn write_image(&self, image: usize, rng: Option<ChaCha8Rng>, out: &mut [f32]) {
        let size = self.images.resolution();
        self.images.crop(image, 0, 0, size, out);
        if let Some(mut rng) = rng {
            augment(size, out, &mut rng);
        }
    }

    /// Pixels of images as a tensor `[B, 3, R, R]`.
    fn tensor(&self, pixels: Vec<f32>, device: &Device) -> Tensor<4> {
        let size = self.images.resolution();
        let shape = [pixels.len() / self.image_len(), 3, size, size];
        Tensor::from_data(TensorData::new(pixels, shape), device)
    }

    /// The accuracy for every attribute of held-out images.
    fn held_out_accuracy(&self, model: &AttributeClassifier, is_augmented: bool) -> Vec<f64> {
        let all = self.images.len();
        let starts: Vec<usize> = (all - self.held_out..all).step_by(EVALUATION_BATCH).collect();
        let of_batch = |start: usize| {
            let images = start..(start + EVALUATION_BATCH).min(all);
            let mut pixels = vec![0.0; images.len() * self.image_len()];
            for (image, out) in images.clone().zip(pixels.chunks_exact_mut(self.image_len())) {
                let rng = || keyed_rng(self.seed, purpose::EVALUATION, 0, image as u64);
                self.write_image(image, is_augmented.then(rng), out);
            }
            let predictions = model.forward(self.tensor(pixels, &self.device));
            let mut right = vec![0; self.model_config.attributes.len()];
            for (choices, image) in predictions.choices(&self.model_config).iter().zip(images) {
                for ((right, choice), label) in
                    right.iter_mut().zip(choices).zip(&self.labels[image])
                {
                    *right += usize::from(choice == label);
                }
            }
            right
        };
        let right = map_on(&self.device, starts, of_batch);
        let accuracy = |attribute: usize| {
            right.iter().map(|right| right[attribute]).sum::<usize>() as f64 / self.held_out as f64
        };
        (0..self.model_config.attributes.len()).map(accuracy).collect()
    }
}

/// Augmented images of one step.
pub(crate) struct ClassifierBatch {
    /// Their numbers in the data set.
    images: Vec<usize>,
    /// `[B, 3, R, R]`.
    pixels: Vec<f32>,
}

impl TrainingTask for ClassifierTrainer {
    type Model = AttributeClassifier;
    type Batch = ClassifierBatch;

    fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn num_train(&self) -> usize {
        self.train.len()
    }

    fn sample_name(&self, batch: &ClassifierBatch, row: usize) -> String {
        self.names[batch.images[row]].clone()
    }

    fn batch(&self, at: &StepInfo) -> Result<ClassifierBatch, TrainError> {
        let rng = |purpose, row: usize| keyed_rng(self.seed, purpose, at.step, row as u64);
        let mut pixels = vec![0.0; self.batch_size * self.image_len()];
        let rows = pixels.par_chunks_exact_mut(self.image_len()).enumerate();
        let draw = |(row, out): (usize, &mut [f32])| {
            let mut choice = rng(purpose::CLASSIFIER_IMAGE, row);
            let image = self.train[below(&mut choice, self.train.len())];
            self.write_image(image, Some(rng(purpose::CLASSIFIER_ROW, row)), out);
            image
        };
        let images = rows.map(draw).collect();
        Ok(ClassifierBatch { images, pixels })
    }

    fn loss(
        &self,
        model: &AttributeClassifier,
        _state: &TrainState<AttributeClassifier>,
        batch: &ClassifierBatch,
        rows: Range<usize>,
    ) -> StepLoss {
        let device = self.device.clone().autodiff();
        let numbers = self.image_len();
        let pixels = batch.pixels[rows.start * numbers..rows.end * numbers].to_vec();
        let logits = model.forward(self.tensor(pixels, &device)).logits;
        let attributes = &self.model_config.attributes;
        let mut loss = Tensor::<1>::zeros([1], &device);
        let mut first_value = 0;
        for (attribute, Attribute { values, .. }) in attributes.iter().enumerate() {
            let images = batch.images[rows.clone()].iter();
            let labels: Vec<i64> =
                images.map(|&image| self.labels[image][attribute] as i64).collect();
            let of_this = logits.clone().narrow(1, first_value, values.len());
            loss = loss + cross_entropy(of_this, labels);
            first_value += values.len();
        }
        let loss = loss / attributes.len() as f64;
        let mean = loss.clone().inner().into_data().iter::<f64>().sum();
        let parts = vec![LossPart { name: "cross_entropy", mean, rows: rows.len() }];
        StepLoss { loss, parts, rows: Vec::new() }
    }

    fn report(
        &mut self,
        state: &TrainState<AttributeClassifier>,
        _at: &StepInfo,
    ) -> Result<Report, TrainError> {
        let model = state.model().valid();
        let mean = |of_each: &[f64]| of_each.iter().sum::<f64>() / of_each.len() as f64;
        let augmented = self.held_out_accuracy(&model, true);
        let clean = self.held_out_accuracy(&model, false);
        let mut metrics = vec![
            ("held_out_accuracy".to_owned(), mean(&clean)),
            // The name that records of runs have.
            ("held_out_accuracy_disturbed".to_owned(), mean(&augmented)),
        ];
        for (Attribute { name, .. }, accuracy) in self.model_config.attributes.iter().zip(clean) {
            metrics.push((format!("held_out_accuracy_{name}"), accuracy));
        }
        Ok(Report { values: metrics, ..Report::default() })
    }

    /// Configuration and weights, in bf16.
    fn export(
        &self,
        state: &TrainState<AttributeClassifier>,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let json = serde_json::to_vec_pretty(&self.model_config);
        let json = json.map_err(TrainError::weights(Path::new(CONFIG)))?;
        let weights = weights::save(&state.model().valid(), "", StoredDtype::Bf16, &[])?;
        Ok(vec![(CONFIG.to_owned(), json), ("model.safetensors".to_owned(), weights)])
    }
}
