//! Chooses what a prompt leaves open.

mod choice;
mod config;
mod reader;

use burn::tensor::Device;
use burn::tensor::activation::softmax;

pub use config::{CompletedAttribute, CompletionConfig, CompletionError};
pub use reader::AttributeReader;

use crate::noise::{keyed_rng, purpose};
use crate::tokenizer::{Tokens, Vocabulary};
use crate::weights::{self, TensorSource, WeightsError};

/// Adds to a prompt what it does not say.
///
/// "A man with glasses" fits many images. A network that takes one step has to answer with all of them at once, and its
/// image is their mean where they differ; which one is meant should be decided before the first step. So a text encoder of
/// the completion's own reads what the prompt says of every attribute,
///
/// ```text
/// p_a(v) = softmax(W_a s_a + b_a)_v,    s_a the state of query a, v a value of attribute a,
/// ```
///
/// values are drawn for the attributes that the prompt leaves open, such that they go together as they do in images of the training
/// data, and their phrases are appended. Trained by cross-entropy on captions, `p_a` is the posterior of the attribute
/// given the caption, and is as broad as the caption is silent.
///
/// # Source
/// Choosing the missing content before drawing: the prior of unCLIP (Ramesh et al. 2022, arXiv 2204.06125), and rewritten
/// prompts (Betker et al. 2023, Improving Image Generation with Better Captions, section 5).
/// # Deviations
/// The prior is how often values are together in the data set, and the result is a prompt that a person can read and change.
#[derive(Clone, Debug)]
pub struct Completion {
    reader: AttributeReader,
    vocabulary: Vocabulary,
    config: CompletionConfig,
}

impl CompletionConfig {
    /// A completion of which every answer is uniform, for weights to be loaded into.
    ///
    /// # Errors
    /// The parts do not fit each other.
    pub fn init(
        self,
        vocabulary: Vocabulary,
        device: &Device,
    ) -> Result<Completion, CompletionError> {
        self.validate(&vocabulary)?;
        let num_values: Vec<usize> = self.attributes.iter().map(|of| of.values.len()).collect();
        let reader = AttributeReader::init(&self.text_encoder, &num_values, device)?;
        Ok(Completion { reader, vocabulary, config: self })
    }
}

impl Completion {
    /// A completion of a trained reader.
    ///
    /// # Errors
    /// The parts do not fit each other.
    pub fn new(
        config: CompletionConfig,
        vocabulary: Vocabulary,
        reader: AttributeReader,
    ) -> Result<Self, CompletionError> {
        config.validate(&vocabulary)?;
        Ok(Self { reader, vocabulary, config })
    }

    /// The completion with weights from anywhere.
    ///
    /// # Errors
    /// As [`weights::load_from`].
    pub fn load_from(self, source: &dyn TensorSource) -> Result<Self, WeightsError> {
        Ok(Self { reader: weights::load_from(self.reader, source, "")?, ..self })
    }

    /// The text encoder, the attributes and the examples.
    pub fn config(&self) -> &CompletionConfig {
        &self.config
    }

    /// The rows of its text encoder's embedding table.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The network that reads prompts.
    pub fn reader(&self) -> &AttributeReader {
        &self.reader
    }

    /// The prompt with phrases for what it leaves open, which `seed` chooses; nothing if there is nothing to add.
    ///
    /// `tokens` are those of `prompt`.
    pub fn complete(&self, prompt: &str, tokens: &Tokens, seed: u64) -> Option<String> {
        let posteriors = self.posteriors(tokens);
        let mut rng = keyed_rng(seed, purpose::COMPLETION, 0, 0);
        let choices = choice::choose(&posteriors, &self.config.examples, &mut rng);
        let phrases = self.config.phrases(&choices);
        let prompt = prompt.trim_end_matches([' ', '.', ',']);
        match (prompt, phrases.join(", ")) {
            (_, phrases) if phrases.is_empty() => None,
            ("", phrases) => Some(phrases),
            (prompt, phrases) => Some(format!("{prompt}, {phrases}")),
        }
    }

    /// The probabilities of the values of every attribute.
    fn posteriors(&self, tokens: &Tokens) -> Vec<Vec<f64>> {
        let device = self.reader.text_encoder.queries.val().device();
        let logits =
            self.reader.forward(self.vocabulary.batch(std::slice::from_ref(tokens), &device));
        let posterior = |logits| softmax(logits, 1).into_data().iter::<f64>().collect();
        logits.into_iter().map(posterior).collect()
    }
}
