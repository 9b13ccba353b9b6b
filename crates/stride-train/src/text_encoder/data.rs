//! What text encoder training reads: captions in rows of a vocabulary, and the attributes of their images.

use std::collections::BTreeMap;

use rayon::prelude::*;
use stride::classifier::Attribute;
use stride::completion::CompletedAttribute;
use stride::noise::{ChaCha8Rng, below, uniform};
use stride::tokenizer::{ClipTokenizer, Vocabulary};

use crate::TrainError;
use crate::attributes::{attributes_of, labels_of};
use crate::run::DataConfig;

/// Images whose attributes a completion goes by; more would be finer than what people notice.
const MAX_EXAMPLES: usize = 2048;

/// Captions and attributes of a data set; the last `held_out` images are for evaluation. No image is opened.
pub(super) struct TextData {
    pub(super) attributes: Vec<Attribute>,
    pub(super) vocabulary: Vocabulary,
    /// The captions of every image in rows of the vocabulary; the first describes it in full.
    captions: Vec<Vec<Vec<u32>>>,
    /// The place of the value of every attribute of every image.
    labels: Vec<Vec<usize>>,
    names: Vec<String>,
    held_out: usize,
}

impl TextData {
    /// Reads the listing of a folder.
    ///
    /// # Errors
    /// It is damaged or too short, or an image does not name an attribute that the first one names.
    pub(super) fn load(config: &DataConfig) -> Result<Self, TrainError> {
        let folder = config.open_captions()?;
        let dir = config.dir()?;
        let problem = |problem| TrainError::Config { path: dir.to_owned(), problem };
        let attributes = attributes_of(&folder.images).map_err(problem)?;
        let labels = folder.images.iter().map(|image| labels_of(image, &attributes));
        let labels = labels.collect::<Result<_, _>>().map_err(problem)?;

        let tokenizer = ClipTokenizer::new()?;
        let encoded = folder.images.par_iter().map(|image| {
            let ids = |caption: &String| Ok(tokenizer.encode(caption)?.ids);
            image.captions.iter().map(ids).collect::<Result<Vec<_>, TrainError>>()
        });
        let encoded = encoded.collect::<Result<Vec<_>, TrainError>>()?;
        let vocabulary = Vocabulary::from_token_ids(encoded.iter().flatten().flatten().copied());
        let rows = |ids: &Vec<u32>| vocabulary.rows(ids);
        let captions = encoded.iter().map(|captions| captions.iter().map(rows).collect()).collect();
        let names = folder.images.iter().map(|image| image.name.clone()).collect();
        Ok(Self { attributes, vocabulary, captions, labels, names, held_out: config.held_out })
    }

    /// The name of an image.
    pub(super) fn name(&self, image: usize) -> &str {
        &self.names[image]
    }

    /// Images to train on.
    pub(super) fn num_train(&self) -> usize {
        self.captions.len() - self.held_out
    }

    /// The images that are kept out of training.
    pub(super) fn held_out(&self) -> std::ops::Range<usize> {
        self.num_train()..self.captions.len()
    }

    /// The caption that describes an image in full.
    pub(super) fn full_caption(&self, image: usize) -> &[u32] {
        &self.captions[image][0]
    }

    /// A caption of an image to train on, with unknown words in the place of a fraction of its own.
    pub(super) fn draw(&self, unknown_fraction: f64, rng: &mut ChaCha8Rng) -> (usize, Vec<u32>) {
        let image = below(rng, self.num_train());
        let captions = &self.captions[image];
        let mut caption = captions[below(rng, captions.len())].clone();
        let last = caption.len().saturating_sub(1);
        if let Some(unknown) = self.vocabulary.unknown_row() {
            // Start and end stay.
            for row in caption.iter_mut().take(last).skip(1) {
                if uniform(rng) < unknown_fraction {
                    *row = unknown;
                }
            }
        }
        (image, caption)
    }

    /// The attributes with a phrase for each of their values.
    ///
    /// # Errors
    /// A value has no phrase.
    pub(super) fn completed_attributes(
        &self,
        phrases: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Vec<CompletedAttribute>, TrainError> {
        let phrase = |attribute: &Attribute, value: &String| {
            let found = phrases.get(&attribute.name).and_then(|phrases| phrases.get(value));
            found.cloned().ok_or_else(|| {
                TrainError::setting(format!(
                    "text_encoder.phrases: expected a phrase for every value of the data, found none for \
                     {}.\"{value}\"; add one, or \"\" where nothing needs to be said",
                    attribute.name
                ))
            })
        };
        let completed = |attribute: &Attribute| {
            let phrases = attribute.values.iter().map(|value| phrase(attribute, value));
            Ok::<_, TrainError>(CompletedAttribute {
                name: attribute.name.clone(),
                values: attribute.values.clone(),
                phrases: phrases.collect::<Result<_, _>>()?,
            })
        };
        self.attributes.iter().map(completed).collect()
    }

    /// The places of the values of every attribute of some images of the training data.
    pub(super) fn examples(&self) -> Vec<Vec<usize>> {
        self.labels.iter().take(self.num_train().min(MAX_EXAMPLES)).cloned().collect()
    }

    /// The place of an image's value of an attribute.
    pub(super) fn label(&self, image: usize, attribute: usize) -> usize {
        self.labels[image][attribute]
    }
}
