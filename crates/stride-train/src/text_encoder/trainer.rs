//! Trains a text encoder to tell the attributes of images from their captions.

use std::ops::Range;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde_json::json;
use stride::completion::{AttributeReader, CompletionConfig};
use stride::noise::{keyed_rng, purpose};
use stride::pipeline::{
    COMPLETION_CONFIG, COMPLETION_VOCABULARY, COMPLETION_WEIGHTS, MODEL_INDEX, ModelIndex,
    TEXT_ENCODER_CONFIG, TEXT_ENCODER_WEIGHTS, VOCABULARY,
};
use stride::text::QueryTextConfig;
use stride::tokenizer::pad_token_ids;
use stride::weights::{self, StoredDtype};
use stride_kernels::workers::map_on;

use super::config::TextEncoderTrainConfig;
use super::data::TextData;
use crate::TrainError;
use crate::attributes::cross_entropy;
use crate::initial_weights::draw_weights;
use crate::memory;
use crate::placement::{cpu, placed};
use crate::run::{
    LossPart, Progress, Report, RunConfig, StepInfo, StepLoss, TrainState, TrainingTask,
};

/// The text encoder's [`TrainingTask`].
///
/// The loss is the mean over all attributes a of `-log p(v_a | c)`, where `v_a` is the image's value and c one of its
/// captions, drawn anew at every visit. For given captions the least value is that of the posterior of the attributes,
/// so a caption that does not name an attribute teaches how it is distributed then; no label for "not said" is needed.
pub(crate) struct TextEncoderTrainer {
    config: TextEncoderTrainConfig,
    model_config: QueryTextConfig,
    seed: u64,
    data: TextData,
    /// How prompts are to be completed, if they are.
    completion: Option<CompletionConfig>,
    device: Device,
}

/// Captions of a batch that are read at once.
const READ_TOGETHER: usize = 32;
/// Captions that are read at once per core in an evaluation.
const EVALUATION_BATCH: usize = 64;

impl TextEncoderTrainer {
    /// Reads captions and attributes and draws a model for them.
    ///
    /// # Errors
    /// The data is damaged, too small or without attributes, or the sizes do not fit.
    pub(crate) fn new(
        run: &RunConfig,
        config: &TextEncoderTrainConfig,
        device: Device,
        progress: &mut dyn Progress,
    ) -> Result<(Self, TrainState<AttributeReader>), TrainError> {
        // Weights, gradients and two moments.
        let copies = 4 + run.ema.len() as u128;
        memory::check("text_encoder.model", copies * config.model.num_weights())?;
        let data = TextData::load(&run.data)?;
        let model_config = QueryTextConfig {
            vocab_size: data.vocabulary.len(),
            num_queries: data.attributes.len(),
            eos_token_id: data.vocabulary.end_row() as usize,
            ..config.model.clone()
        };
        let completion = if config.phrases.is_empty() {
            None
        } else {
            Some(CompletionConfig {
                text_encoder: model_config.clone(),
                attributes: data.completed_attributes(&config.phrases)?,
                examples: data.examples(),
            })
        };
        // Every layer keeps its input for the way back.
        let states = model_config.num_queries as u128 * model_config.hidden_size as u128;
        let states = states * model_config.num_hidden_layers as u128;
        memory::check("text_encoder.batch_size", config.batch_size as u128 * states)?;

        let num_values: Vec<_> = data.attributes.iter().map(|of| of.values.len()).collect();
        let make = || AttributeReader::init(&model_config, &num_values, &cpu());
        let model = draw_weights(&cpu(), run.seed, make).map_err(TrainError::setting)?;
        let model = placed(model, &device);
        progress.message(&format!(
            "{} images, {} attributes, {} words, {:.1}M parameters",
            data.num_train(),
            data.attributes.len(),
            data.vocabulary.len(),
            model.num_params() as f64 / 1e6
        ));
        let state = TrainState::new(model, run.optimizer.clone(), &run.ema);
        Ok((
            Self { config: config.clone(), model_config, seed: run.seed, data, completion, device },
            state,
        ))
    }

    fn token_ids<C: AsRef<[u32]>>(&self, captions: &[C], device: &Device) -> Tensor<2, Int> {
        pad_token_ids(captions, self.data.vocabulary.end_row(), device)
    }

    /// Fraction of the held-out images whose value is told from their full caption, for every attribute.
    fn held_out_accuracy(&self, model: &AttributeReader) -> Vec<f64> {
        let images: Vec<usize> = self.data.held_out().collect();
        let of_batch = |images: &[usize]| -> Vec<usize> {
            let captions: Vec<_> =
                images.iter().map(|&image| self.data.full_caption(image)).collect();
            let logits = model.forward(self.token_ids(&captions, &self.device));
            let right = |(attribute, logits): (usize, Tensor<2>)| {
                let choices = logits.argmax(1).into_data();
                let pairs = choices.iter::<i64>().zip(images);
                let label = |image| self.data.label(image, attribute) as i64;
                pairs.filter(|&(choice, &image)| choice == label(image)).count()
            };
            logits.into_iter().enumerate().map(right).collect()
        };
        let batches = images.chunks(EVALUATION_BATCH).collect();
        let right = map_on(&self.device, batches, of_batch);
        let sum = |attribute: usize| right.iter().map(|right| right[attribute]).sum::<usize>();
        let attributes = 0..self.data.attributes.len();
        attributes.map(|attribute| sum(attribute) as f64 / images.len() as f64).collect()
    }

    /// The model that is evaluated and exported.
    fn exported(&self, state: &TrainState<AttributeReader>) -> AttributeReader {
        let average = self.config.export.as_deref().and_then(|name| state.ema(name));
        average.cloned().unwrap_or_else(|| state.model().valid())
    }
}

/// The captions of one step, with the numbers of their images.
pub(crate) struct CaptionBatch(Vec<(usize, Vec<u32>)>);

impl TrainingTask for TextEncoderTrainer {
    type Model = AttributeReader;
    type Batch = CaptionBatch;

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn num_train(&self) -> usize {
        self.data.num_train()
    }

    fn sample_name(&self, batch: &CaptionBatch, row: usize) -> String {
        self.data.name(batch.0[row].0).to_owned()
    }

    fn batch(&self, at: &StepInfo) -> Result<CaptionBatch, TrainError> {
        let rng = |row: usize| keyed_rng(self.seed, purpose::TRAINING_ROW, at.step, row as u64);
        let draw = |row| self.data.draw(self.config.unknown_fraction, &mut rng(row));
        Ok(CaptionBatch((0..self.config.batch_size).map(draw).collect()))
    }

    fn loss(
        &self,
        model: &AttributeReader,
        _state: &TrainState<AttributeReader>,
        batch: &CaptionBatch,
        rows: Range<usize>,
    ) -> StepLoss {
        let device = self.device.clone().autodiff();
        // Captions of like length together, so that little is computed for padding.
        let mut order: Vec<usize> = rows.clone().collect();
        order.sort_by_key(|&row| batch.0[row].1.len());
        let mut loss = Tensor::<1>::zeros([1], &device);
        for group in order.chunks(READ_TOGETHER) {
            let captions: Vec<&[u32]> = group.iter().map(|&row| &batch.0[row].1[..]).collect();
            let logits = model.forward(self.token_ids(&captions, &device));
            for (attribute, logits) in logits.into_iter().enumerate() {
                let label = |&row: &usize| self.data.label(batch.0[row].0, attribute) as i64;
                let labels = group.iter().map(label).collect();
                loss = loss + cross_entropy(logits, labels) * group.len() as f64;
            }
        }
        let loss = loss / (rows.len() * self.data.attributes.len()) as f64;
        let mean = loss.clone().inner().into_data().iter::<f64>().sum();
        let parts = vec![LossPart { name: "cross_entropy", mean, rows: rows.len() }];
        StepLoss { loss, parts, rows: Vec::new() }
    }

    fn report(
        &mut self,
        state: &TrainState<AttributeReader>,
        _at: &StepInfo,
    ) -> Result<Report, TrainError> {
        let of_each = self.held_out_accuracy(&self.exported(state));
        let mean = of_each.iter().sum::<f64>() / of_each.len() as f64;
        let named = self.data.attributes.iter().zip(of_each);
        let named =
            named.map(|(of, accuracy)| (format!("held_out_accuracy_{}", of.name), accuracy));
        let values = std::iter::once(("held_out_accuracy".to_owned(), mean)).chain(named).collect();
        Ok(Report { values, ..Report::default() })
    }

    /// A folder with the text encoder and its vocabulary and what completes prompts, laid out as in a pipeline; weights in
    /// f32, since they are trained on.
    fn export(
        &self,
        state: &TrainState<AttributeReader>,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let reader = self.exported(state);
        let index = json!({
            "_class_name": "StrideTextEncoder",
            "_stride_version": env!("CARGO_PKG_VERSION"),
            "text_encoder": ModelIndex::component(QueryTextConfig::CLASS_NAME),
            "tokenizer": ModelIndex::component("ClipTokenizer"),
        });
        let text_encoder = weights::save(&reader.text_encoder, "", StoredDtype::F32, &[])?;
        let mut files = vec![
            (MODEL_INDEX.to_owned(), to_json(MODEL_INDEX, &index)?),
            (TEXT_ENCODER_CONFIG.to_owned(), to_json(TEXT_ENCODER_CONFIG, &self.model_config)?),
            (TEXT_ENCODER_WEIGHTS.to_owned(), text_encoder),
            (VOCABULARY.to_owned(), to_json(VOCABULARY, &self.data.vocabulary)?),
        ];
        if let Some(config) = &self.completion {
            let weights = weights::save(&reader, "", StoredDtype::F32, &[])?;
            let vocabulary = to_json(COMPLETION_VOCABULARY, &self.data.vocabulary)?;
            files.push((COMPLETION_CONFIG.to_owned(), to_json(COMPLETION_CONFIG, config)?));
            files.push((COMPLETION_VOCABULARY.to_owned(), vocabulary));
            files.push((COMPLETION_WEIGHTS.to_owned(), weights));
        }
        Ok(files)
    }
}

fn to_json(name: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, TrainError> {
    serde_json::to_vec_pretty(value).map_err(TrainError::weights(Path::new(name)))
}
