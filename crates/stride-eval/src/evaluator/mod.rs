//! A model at every step count against real images: from sample sets to scores.
//!
//! An [`Evaluator`] lists the [`SampleSet`]s that a report needs, fills a [`FeatureStore`] with their features block
//! by block, so that the work can be interrupted, resumed and split into parts, and computes an
//! [`EvaluationReport`] from them; of prompts that ask for attributes, a [`PromptReport`].

mod clip_scorer;
mod failures;
mod networks;
mod prompt_report;
mod prompt_results;
mod report;
mod results;
mod sample_features;
mod sample_set;
mod scores;
mod settings;
mod share;
mod store;

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use stride::image::{ImageMetadata, RgbImage, png_bytes};
use stride_data::{CaptionedImage, Part, decode_rgb};
use stride_files::write_whole;
use stride_kernels::workers::Workers;

pub use clip_scorer::{ClipScore, ClipScorer};
pub use failures::Failure;
pub(crate) use failures::count_attributes;
pub use networks::FeatureNetworks;
pub use prompt_results::{PromptFailure, PromptMiss, PromptReport, PromptScores};
pub use results::{CheckpointResult, Diversity, EvaluationReport, SplitResult};
pub use sample_features::SampleFeatures;
pub use sample_set::{SampleSet, SampleSource};
pub use scores::{Reference, Scores};
pub use settings::{DataSplit, EvaluatedModel, EvaluationSettings};
pub use share::Share;
pub use store::{FeatureStore, JobIdentity};

use crate::EvalError;
use crate::error::at_least;
use crate::generator::{IntermediateStep, SampleRequest, generate_all};
use crate::prompts::PromptSet;
use crate::provenance::Generation;

/// Steps at which checkpoints are evaluated, where the settings have them.
const CHECKPOINT_STEPS: [usize; 2] = [1, 4];

/// The label of the sample sets of prompts.
const PROMPTS_LABEL: &str = "prompts";
/// Failures are those at the most steps up to this many.
const FAILURE_STEPS: usize = 4;

/// Evaluates a model, and checkpoints of its training, on one or more splits; or a model on prompts.
pub struct Evaluator {
    settings: EvaluationSettings,
    /// The model first, then its checkpoints.
    models: Vec<EvaluatedModel>,
    /// None where there are prompts.
    splits: Vec<DataSplit>,
    prompts: Option<PromptSet>,
    networks: FeatureNetworks,
    workers: Workers,
    image_dir: Option<PathBuf>,
}

/// Progress of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationProgress<'a> {
    /// Name of the sample set at work.
    pub set: &'a str,
    /// Images of the set that are done.
    pub images: usize,
    /// Work done, in units of about a step of a small model.
    pub done: u64,
    /// Work in all.
    pub total: u64,
}

impl Evaluator {
    /// An evaluator of `models`: the model first, then its checkpoints.
    ///
    /// # Errors
    /// There is no model, split or step count, or a split has fewer images than samples, or there are fewer than two
    /// samples.
    pub fn new(
        settings: EvaluationSettings,
        models: Vec<EvaluatedModel>,
        splits: Vec<DataSplit>,
        networks: FeatureNetworks,
        workers: Workers,
    ) -> Result<Self, EvalError> {
        at_least("samples of an evaluation", 2, settings.samples)?;
        at_least("step counts of an evaluation", 1, settings.steps.len())?;
        at_least("models of an evaluation", 1, models.len())?;
        at_least("data of an evaluation", 1, splits.len())?;
        for split in &splits {
            at_least(
                &format!("{}: images", split.name),
                settings.samples,
                split.folder.images.len(),
            )?;
        }
        Ok(Self { settings, models, splits, prompts: None, networks, workers, image_dir: None })
    }

    /// An evaluator of a model on prompts, without images to compare with. The samples are those of the prompts.
    ///
    /// # Errors
    /// There is no step count, or no classifier to judge the images.
    pub fn of_prompts(
        settings: EvaluationSettings,
        model: EvaluatedModel,
        prompts: PromptSet,
        networks: FeatureNetworks,
        workers: Workers,
    ) -> Result<Self, EvalError> {
        at_least("step counts of an evaluation", 1, settings.steps.len())?;
        at_least("classifiers", 1, networks.classifier().iter().count())?;
        Ok(Self {
            settings: EvaluationSettings { samples: prompts.num_images(), ..settings },
            models: vec![model],
            splits: Vec::new(),
            prompts: Some(prompts),
            networks,
            workers,
            image_dir: None,
        })
    }

    /// The same evaluator, which also saves every image in a folder.
    #[must_use]
    pub fn with_image_dir(self, image_dir: Option<PathBuf>) -> Self {
        Self { image_dir, ..self }
    }

    /// The settings.
    pub fn settings(&self) -> &EvaluationSettings {
        &self.settings
    }

    /// The splits.
    pub fn splits(&self) -> &[DataSplit] {
        &self.splits
    }

    /// The prompts, for an evaluator of these.
    pub fn prompts(&self) -> Option<&PromptSet> {
        self.prompts.as_ref()
    }

    /// The identity of this evaluation for a store; `job` is what a program needs to resume it.
    pub fn identity<J>(&self, job: J) -> JobIdentity<J> {
        let settings = &self.settings;
        let network = self.networks.feature_network();
        let classifier = self.networks.classifier().map_or("", |classifier| classifier.name());
        let clip = self.networks.clip().map_or("", ClipScorer::sha256);
        let mut decides: Vec<(String, String)> = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("samples", settings.samples.to_string()),
            ("steps", format!("{:?}", settings.steps)),
            ("seed", settings.seed.to_string()),
            ("guidance", self.cfg_scale(0).to_string()),
            ("dtype", format!("{:?}", self.models[0].generator.compute())),
            ("protocol", settings.protocol.name().to_owned()),
            ("features", network.name()),
            ("classifier", classifier.to_owned()),
            ("clip", clip.to_owned()),
            ("weights of the features", network.weights_sha256().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        decides.extend(self.models.iter().map(|model| {
            let step = model.training_step;
            let name = step.map_or("model".to_owned(), |step| format!("checkpoint {step}"));
            (name, model.hash.clone())
        }));
        decides.extend(
            self.splits.iter().map(|split| (split.label.clone(), split.fingerprint.clone())),
        );
        decides.extend(self.prompts.iter().flat_map(|prompts| {
            let seeds = ("seeds of a prompt".to_owned(), prompts.seeds.to_string());
            [seeds, (PROMPTS_LABEL.to_owned(), prompts.fingerprint.clone())]
        }));
        JobIdentity { decides, job }
    }

    /// The sample sets that a report needs, in the order in which they are made.
    pub fn sample_sets(&self) -> Vec<SampleSet> {
        let steps = &self.settings.steps;
        let generated = |model, steps| SampleSource::Generated { model, steps };
        let mut sets = Vec::new();
        if self.prompts.is_some() {
            let of_prompts = |&steps: &usize| self.sample_set(0, generated(0, steps));
            return steps.iter().map(of_prompts).collect();
        }
        for split in 0..self.splits.len() {
            sets.extend(
                [SampleSource::Real, SampleSource::Autoencoder].map(|source| (split, source)),
            );
            sets.extend(steps.iter().map(|&steps| (split, generated(0, steps))));
        }
        sets.extend(steps.iter().map(|&steps| (0, SampleSource::OneCaption { steps })));
        for model in 1..self.models.len() {
            sets.extend(self.checkpoint_steps().into_iter().map(|n| (0, generated(model, n))));
        }
        sets.into_iter().map(|(split, source)| self.sample_set(split, source)).collect()
    }

    /// Adds the missing blocks of a part to the store.
    ///
    /// `observer` is called before and after every block. A block is stored as soon as it is complete, so that a later
    /// call resumes after the last one.
    ///
    /// # Errors
    /// An image cannot be read or generated, a block cannot be stored, or `stop` was set
    /// ([`EvalError::Interrupted`]).
    pub fn collect(
        &self,
        part: Part,
        store: &mut FeatureStore,
        stop: &AtomicBool,
        observer: &mut dyn FnMut(EvaluationProgress<'_>),
    ) -> Result<(), EvalError> {
        let sets = self.sample_sets();
        let blocks = sets
            .iter()
            .flat_map(|set| FeatureStore::blocks(set.count).map(move |range| (set, range)));
        let missing: Vec<_> = blocks
            .skip(part.index)
            .step_by(part.count)
            .filter(|(set, range)| !store.has(&set.name, range))
            .collect();
        let cost = |set: &SampleSet, range: &Range<usize>| set.cost() * range.len() as u64;
        let total = missing.iter().map(|(set, range)| cost(set, range)).sum();
        let mut done = 0;
        for (set, range) in missing {
            let mut tell = |images, done| {
                observer(EvaluationProgress { set: &set.name, images, done, total });
            };
            tell(range.start, done);
            let images = |indices: &[usize]| self.images(set, indices, stop);
            let protocol = self.settings.protocol;
            let block = self.networks.extract_range(&self.workers, &range, protocol, images)?;
            store.put(&set.name, &range, block)?;
            done += cost(set, &range);
            tell(range.end, done);
            if stop.load(Ordering::Relaxed) {
                return Err(EvalError::Interrupted);
            }
        }
        Ok(())
    }

    /// The first block that is not in the store: the name of its sample set, and the indices of its images.
    pub fn missing(&self, store: &FeatureStore) -> Option<(String, Range<usize>)> {
        self.sample_sets().into_iter().find_map(|set| {
            let mut blocks = FeatureStore::blocks(set.count);
            let missing = blocks.find(|range| !store.has(&set.name, range))?;
            Some((set.name, missing))
        })
    }

    /// Image `index` of a prompt, which starts from the same noise with every model and step count.
    ///
    /// # Errors
    /// The model cannot generate it, or `stop` was set ([`EvalError::Interrupted`]).
    pub fn generate(
        &self,
        model: usize,
        prompt: &str,
        index: usize,
        num_steps: usize,
        stop: &AtomicBool,
        observer: &mut dyn FnMut(IntermediateStep<'_>),
    ) -> Result<RgbImage, EvalError> {
        let request = self.request(model, prompt, index, num_steps);
        request.generate(&*self.models[model].generator, stop, observer)
    }

    fn request<'a>(
        &self,
        model: usize,
        prompt: &'a str,
        index: usize,
        num_steps: usize,
    ) -> SampleRequest<'a> {
        SampleRequest {
            prompt,
            num_steps,
            cfg_scale: self.cfg_scale(model),
            seed: self.settings.seed.wrapping_add(index as u64),
        }
    }

    fn sample_set(&self, split: usize, source: SampleSource) -> SampleSet {
        let training_step = match source {
            SampleSource::Generated { model, .. } => self.models[model].training_step,
            _ => None,
        };
        let label = match &self.prompts {
            Some(_) => PROMPTS_LABEL,
            None => &self.splits[split].label,
        };
        let name = format!("{label}/{}", source.name(training_step));
        SampleSet { split, source, count: source.count(self.settings.samples), name }
    }

    fn checkpoint_steps(&self) -> Vec<usize> {
        let all = &self.settings.steps;
        let steps: Vec<usize> =
            CHECKPOINT_STEPS.into_iter().filter(|steps| all.contains(steps)).collect();
        // Some step count at least.
        if steps.is_empty() { vec![all[0]] } else { steps }
    }

    /// The step count at which failures are looked for.
    fn failure_steps(&self) -> usize {
        let steps = self.settings.steps.iter().copied();
        steps.max_by_key(|&steps| (steps <= FAILURE_STEPS, steps)).unwrap_or(0)
    }

    /// How the samples of a model are made from the captions of `data`.
    fn generation(&self, model: usize, steps: usize, data: &str) -> Generation {
        Generation {
            model: self.models[model].hash.clone(),
            steps,
            seed: self.settings.seed,
            cfg_scale: self.cfg_scale(model),
            data: data.to_owned(),
        }
    }

    fn cfg_scale(&self, model: usize) -> f64 {
        let default = || self.models[model].generator.default_cfg_scale();
        self.settings.cfg_scale.unwrap_or_else(default)
    }

    /// The images of a set at some indices.
    fn images(
        &self,
        set: &SampleSet,
        indices: &[usize],
        stop: &AtomicBool,
    ) -> Result<Vec<RgbImage>, EvalError> {
        let generator = &self.models[0].generator;
        let real = || {
            let (resolution, folder) = (generator.resolution(), &self.splits[set.split].folder);
            let read = |&index: &usize| read_image(&folder.images[index], resolution);
            indices.iter().map(read).collect::<Result<Vec<_>, EvalError>>()
        };
        let generated = |model, steps, caption_of: &dyn Fn(usize) -> usize| {
            let request = |&index: &usize| {
                let prompt = match &self.prompts {
                    Some(prompts) => &prompts.of_image(index).text,
                    None => self.splits[set.split].caption(caption_of(index)),
                };
                self.request(model, prompt, index, steps)
            };
            let requests: Vec<_> = indices.iter().map(request).collect();
            generate_all(&*self.models[model].generator, &requests, stop)
        };
        let images = match set.source {
            SampleSource::Real => real()?,
            SampleSource::Autoencoder => generator.reconstruct(&real()?),
            SampleSource::Generated { model, steps } => generated(model, steps, &|index| index)?,
            SampleSource::OneCaption { steps } => generated(0, steps, &|_| 0)?,
        };
        if let Some(folder) = self.image_dir.as_ref().map(|dir| dir.join(&set.name)) {
            fs::create_dir_all(&folder).map_err(EvalError::io(&folder))?;
            for (index, image) in indices.iter().zip(&images) {
                let bytes = png_bytes(image, &ImageMetadata::default())
                    .map_err(|error| EvalError::Generator(Box::new(error)))?;
                write_whole(&folder.join(format!("{index:06}.png")), &bytes)?;
            }
        }
        Ok(images)
    }
}

/// The square of an image of a data folder.
pub(crate) fn read_image(image: &CaptionedImage, resolution: usize) -> Result<RgbImage, EvalError> {
    let pixels = decode_rgb(image, resolution)?;
    Ok(RgbImage { width: resolution, height: resolution, pixels })
}
