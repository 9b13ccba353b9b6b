//! From the labels of images to a report on their prompts.

use super::{
    Evaluator, FeatureStore, PromptFailure, PromptMiss, PromptReport, PromptScores, Share,
};
use crate::attribute_accuracy::{AttributeAccuracy, Miss};
use crate::network::FeatureNetwork as _;
use crate::prompts::{Prompt, PromptSet};
use crate::provenance::Judgement;
use crate::{AttributeClassifier, EvalError};

/// What the images of all prompts show at one step count.
struct Counts {
    attributes: AttributeAccuracy,
    /// Attributes shown and asked for, prompt by prompt.
    shown: Vec<[usize; 2]>,
    /// Images that are right and all images, prompt by prompt.
    right: Vec<[usize; 2]>,
    failures: Vec<PromptFailure>,
}

impl Evaluator {
    /// The report of a store in which nothing is missing, for an evaluator of prompts.
    ///
    /// # Errors
    /// A block is missing or damaged, or this is an evaluator of data.
    pub fn prompt_report(&self, store: &FeatureStore) -> Result<PromptReport, EvalError> {
        let nothing = || EvalError::TooFew {
            what: "prompts of an evaluation".to_owned(),
            expected: 1,
            found: 0,
        };
        let prompts = self.prompts().ok_or_else(nothing)?;
        let classifier = self.networks.classifier().ok_or_else(nothing)?;
        let seed = self.settings.seed;
        let mut rows = Vec::new();
        let mut failures = Vec::new();
        for (set, &steps) in self.sample_sets().iter().zip(&self.settings.steps) {
            let samples = store.get(&set.name, set.count)?;
            let counts = Counts::of(prompts, classifier, &samples.labels);
            let provenance = Judgement {
                classifier_sha256: classifier.weights_sha256().to_owned(),
                samples: samples.len(),
                samples_sha256: samples.sha256(),
                generation: self.generation(0, steps, &prompts.fingerprint),
            };
            rows.push(PromptScores {
                steps,
                attributes_shown: Share::of_prompts(&counts.shown, seed),
                images_right: Share::of_prompts(&counts.right, seed),
                attributes: counts.attributes,
                provenance,
            });
            if steps == self.failure_steps() {
                failures = counts.failures;
            }
        }
        Ok(PromptReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.models[0].generator.name().to_owned(),
            model_hash: self.models[0].hash.clone(),
            prompts: prompts.name.clone(),
            fingerprint: prompts.fingerprint.clone(),
            count: prompts.prompts.len(),
            seeds: prompts.seeds,
            seed,
            cfg_scale: self.cfg_scale(0),
            classifier: classifier.name().to_owned(),
            rows,
            failure_steps: self.failure_steps(),
            failures,
        })
    }
}

impl Counts {
    /// Counts the labels of all images, in their order.
    fn of(prompts: &PromptSet, classifier: &AttributeClassifier, labels: &[Vec<usize>]) -> Self {
        let attributes = &classifier.config().attributes;
        let mut counts = Self {
            attributes: AttributeAccuracy::default(),
            shown: Vec::new(),
            right: Vec::new(),
            failures: Vec::new(),
        };
        let images = labels.chunks(prompts.seeds).zip(&prompts.prompts).enumerate();
        for (index, (labels, prompt)) in images {
            let mut accuracy = AttributeAccuracy::default();
            let misses: Vec<Vec<Miss>> = labels
                .iter()
                .map(|labels| accuracy.add_asked(&prompt.attributes, attributes, labels))
                .collect();
            let total = accuracy.total();
            counts.shown.push([total.shown, total.named]);
            let right = misses.iter().filter(|misses| misses.is_empty()).count();
            counts.right.push([right, misses.len()]);
            counts.attributes.merge(&accuracy);
            if right < misses.len() {
                let [shown, asked] = [total.shown, total.named];
                let first = index * prompts.seeds;
                counts.failures.push(PromptFailure::of(prompt, [shown, asked], first, &misses));
            }
        }
        // A stable sort: those that miss as much stay in the order of the file.
        counts.failures.sort_by(|a, b| (a.shown * b.asked).cmp(&(b.shown * a.asked)));
        counts
    }
}

impl PromptFailure {
    /// What the images of a prompt miss; `first` is the place of the first of them.
    fn of(
        prompt: &Prompt,
        [shown, asked]: [usize; 2],
        first: usize,
        by_image: &[Vec<Miss>],
    ) -> Self {
        let mut misses: Vec<PromptMiss> = Vec::new();
        for Miss { attribute, wanted, seen } in by_image.iter().flatten() {
            let place = misses.iter().position(|miss| miss.attribute == *attribute);
            let place = place.unwrap_or_else(|| {
                let (attribute, wanted) = (attribute.clone(), wanted.clone());
                misses.push(PromptMiss { attribute, wanted, seen: Default::default() });
                misses.len() - 1
            });
            *misses[place].seen.entry(seen.clone()).or_default() += 1;
        }
        let most = by_image.iter().map(Vec::len).max();
        let worst = by_image.iter().position(|misses| Some(misses.len()) == most).unwrap_or(0);
        Self {
            line: prompt.line,
            text: prompt.text.clone(),
            shown,
            asked,
            worst_image: first + worst,
            misses,
        }
    }
}
