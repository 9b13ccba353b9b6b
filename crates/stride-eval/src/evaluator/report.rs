//! From features to a report.

use super::failures::count_attributes;
use super::scores::mean_distance;
use super::{
    CheckpointResult, ClipScore, DataSplit, Diversity, EvaluationReport, Evaluator, Failure,
    FeatureStore, Reference, SampleFeatures, SampleSource, Scores, SplitResult,
};
use crate::attribute_accuracy::AttributeAccuracy;
use crate::diversity::diversity;
use crate::error::at_least;
use crate::memorisation::nearest_other;
use crate::provenance::{Provenance, Set};
use crate::{EvalError, Features};

/// A split with what its sample sets are compared with.
struct SplitScorer<'a> {
    evaluator: &'a Evaluator,
    split: &'a DataSplit,
    reference: Reference,
    /// CLIP's vectors of the captions.
    captions: Option<Features>,
}

impl Evaluator {
    /// The report of a store in which nothing is missing, for an evaluator of data; `losses` are left to the caller.
    ///
    /// # Errors
    /// A block is missing or damaged, CLIP cannot encode a caption, or this is an evaluator of prompts.
    pub fn report(&self, store: &FeatureStore) -> Result<EvaluationReport, EvalError> {
        at_least("data of an evaluation", 1, self.splits.len())?;
        let get = |split, source| {
            let set = self.sample_set(split, source);
            store.get(&set.name, set.count)
        };
        let generated = |split, model, steps| get(split, SampleSource::Generated { model, steps });
        let mut splits = Vec::new();
        let mut checkpoints = Vec::new();
        let mut one_caption = None;
        for (at, split) in self.splits.iter().enumerate() {
            let scorer = SplitScorer::new(self, split, get(at, SampleSource::Real)?)?;
            let mut rows = Vec::new();
            let mut failures = Vec::new();
            for &steps in &self.settings.steps {
                let samples = generated(at, 0, steps)?;
                rows.push(scorer.score(&samples, Some((0, steps)))?);
                if steps == self.failure_steps() {
                    failures = scorer.failures(&samples, steps);
                }
            }
            splits.push(SplitResult {
                label: split.label.clone(),
                folder: split.name.clone(),
                fingerprint: split.fingerprint.clone(),
                nearest_of_real: mean_distance(&nearest_other(&scorer.real().features)?),
                real_attributes: scorer.attributes(scorer.real()),
                real_clip: scorer.clip(scorer.real())?,
                failures,
                floor: scorer.score(&get(at, SampleSource::Autoencoder)?, None)?,
                rows,
            });
            if at > 0 {
                continue;
            }
            for (model, checkpoint) in self.models.iter().enumerate().skip(1) {
                for steps in self.checkpoint_steps() {
                    let samples = generated(at, model, steps)?;
                    let scores = scorer.score(&samples, Some((model, steps)))?;
                    let training_step = checkpoint.training_step.unwrap_or(0);
                    checkpoints.push(CheckpointResult { training_step, scores });
                }
            }
            let mut by_steps = Vec::new();
            for &steps in &self.settings.steps {
                let samples = get(at, SampleSource::OneCaption { steps })?;
                by_steps.push((steps, diversity(&samples.features)?));
            }
            one_caption = Some(Diversity {
                caption: split.caption(0).to_owned(),
                real: diversity(&scorer.real().features)?,
                by_steps,
            });
        }
        Ok(EvaluationReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.models[0].generator.name().to_owned(),
            model_hash: self.models[0].hash.clone(),
            samples: self.settings.samples,
            seed: self.settings.seed,
            cfg_scale: self.cfg_scale(0),
            features: splits[0].floor.provenance.features_name(),
            clip_sha256: self.networks.clip().map(|clip| clip.sha256().to_owned()),
            splits,
            diversity: one_caption,
            checkpoints,
            losses: Default::default(),
        })
    }
}

impl<'a> SplitScorer<'a> {
    fn new(
        evaluator: &'a Evaluator,
        split: &'a DataSplit,
        real: SampleFeatures,
    ) -> Result<Self, EvalError> {
        let captions = evaluator.networks.clip().map(|clip| {
            let captions = (0..split.folder.images.len()).map(|index| split.caption(index));
            clip.captions(&captions.collect::<Vec<_>>())
        });
        let reference = Reference::of_samples(real)?;
        Ok(Self { evaluator, split, reference, captions: captions.transpose()? })
    }

    fn real(&self) -> &SampleFeatures {
        self.reference.samples.as_ref().expect("a reference of samples keeps them")
    }

    /// All numbers of a sample set, which a model generated at some steps or nobody did.
    fn score(
        &self,
        samples: &SampleFeatures,
        generated: Option<(usize, usize)>,
    ) -> Result<Scores, EvalError> {
        let settings = &self.evaluator.settings;
        let generation = generated
            .map(|(model, steps)| self.evaluator.generation(model, steps, &self.split.fingerprint));
        let set = Set { count: Some(samples.len()), sha256: samples.sha256() };
        let network = self.evaluator.networks.feature_network();
        let sets = [set, self.reference.set()];
        let provenance = Provenance::new(network, settings.protocol, sets, generation);
        let (bootstrap, seed) = (settings.bootstrap, settings.seed);
        let scores = Scores::of(samples, &self.reference, provenance, bootstrap, seed)?;
        Ok(Scores { attributes: self.attributes(samples), clip: self.clip(samples)?, ..scores })
    }

    /// Attribute accuracy, where captions name attributes of the classifier.
    fn attributes(&self, samples: &SampleFeatures) -> Option<AttributeAccuracy> {
        let (accuracy, _) = self.count(samples)?;
        Some(accuracy).filter(|accuracy| accuracy.total().named > 0)
    }

    fn failures(&self, samples: &SampleFeatures, steps: usize) -> Vec<Failure> {
        let failures = self.count(samples).map(|(_, failures)| failures).unwrap_or_default();
        failures.into_iter().map(|failure| Failure { steps, ..failure }).collect()
    }

    fn count(&self, samples: &SampleFeatures) -> Option<(AttributeAccuracy, Vec<Failure>)> {
        let classifier = self.evaluator.networks.classifier()?;
        Some(count_attributes(classifier, &self.split.folder, &samples.labels))
    }

    fn clip(&self, samples: &SampleFeatures) -> Result<Option<ClipScore>, EvalError> {
        let pairs = samples.clip.as_ref().zip(self.captions.as_ref());
        pairs.map(|(images, captions)| ClipScore::of(images, captions)).transpose()
    }
}
