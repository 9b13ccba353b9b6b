//! Trains the transformer and the text encoder on cached latents.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use stride::clip::ClipTextConfig;
use stride::completion::Completion;
use stride::noise::{fill_normal, keyed_rng, purpose};
use stride::objective::{Batch, Conditioning, Head, NetworkInput, Row, Teacher};
use stride::pipeline::{ModelIndex, Pipeline, PipelineParts};
use stride::text::TextEncoderConfig;
use stride::tokenizer::pad_token_ids;
use stride::weights::StoredDtype;
use stride_data::{LatentEncoder as _, LatentShape};
use stride_kernels::gemm::Compute;

use super::config::DitTrainConfig;
use super::data::DitData;
use super::samples::SampleSheet;
use super::{TextToLatent, init};
use crate::TrainError;
use crate::initial_weights::draw_weights;
use crate::memory;
use crate::placement::{cpu, placed};
use crate::run::{
    LossPart, Progress, Report, RowLoss, RunConfig, StepInfo, StepLoss, TrainState, TrainingTask,
};
use crate::vae::ImageEncoder;

/// The transformer's [`TrainingTask`].
pub(crate) struct DitTrainer {
    config: DitTrainConfig,
    text_config: TextEncoderConfig,
    /// What completes the prompts of the exported model.
    completion: Option<Completion>,
    seed: u64,
    data: DitData,
    device: Device,
    samples: SampleSheet,
    encoder: ImageEncoder,
    held_out_rows: usize,
}

/// Held-out images the error is measured on.
const HELD_OUT_ROWS: usize = 128;
/// Rows evaluated at once.
const EVALUATION_BATCH: usize = 32;

impl DitTrainer {
    /// Reads or makes the latents and makes the networks; for a dry run (`is_dry`), makes a few latents at most and keeps
    /// none.
    ///
    /// # Errors
    /// Data, autoencoder or configuration do not fit, or `stop` is set while latents are made.
    pub(crate) fn new(
        run: &RunConfig,
        config: &DitTrainConfig,
        device: Device,
        is_dry: bool,
        progress: &mut dyn Progress,
        stop: &AtomicBool,
    ) -> Result<(Self, TrainState<TextToLatent>), TrainError> {
        check_memory(config, run.ema.len())?;
        let resolution = run.data.resolution;
        let encoder = ImageEncoder::open(&config.autoencoder, resolution, Compute::F32, &device)?;
        let latent_shape = encoder.config().latent_shape(resolution);
        let expected = [config.model.in_channels, config.model.input_size, config.model.input_size];
        if latent_shape != expected {
            return Err(TrainError::setting(format!(
                "dit.model: the autoencoder makes latents of {latent_shape:?}, but in_channels and \
                 input_size say {expected:?}"
            )));
        }
        let completion = config.completion.as_deref();
        let completion =
            completion.map(|dir| stride_models::completion(dir, &device)).transpose()?;
        let start = config.init.text_encoder.as_deref();
        let start = start.map(|dir| init::text_encoder(dir, &config.model, &cpu())).transpose()?;
        let cache = config.latent_cache.as_deref();
        let vocabulary = start.as_ref().map(|start| start.vocabulary.clone());
        let data = if is_dry { DitData::look } else { DitData::load };
        let data = data(&run.data, cache, &encoder, vocabulary, progress, stop)?;

        let (text_config, trained) = match (start, &config.text_encoder) {
            (Some(start), _) => (start.config, Some(start.model)),
            (None, Some(text_config)) => {
                let text_config = ClipTextConfig {
                    vocab_size: data.captions.vocabulary.len(),
                    eos_token_id: data.captions.vocabulary.end_row() as usize,
                    ..text_config.clone()
                };
                (TextEncoderConfig::Clip(text_config), None)
            }
            (None, None) => return Err(TrainError::setting("[dit.text_encoder] is missing")),
        };
        let model = draw_weights(&cpu(), run.seed, || {
            let mut dit = config.model.init(&cpu()).map_err(TrainError::setting)?;
            if let Some(dir) = &config.init.transformer {
                dit = init::transformer(dir, dit, progress)?;
            }
            let drawn = || text_config.init(&cpu()).map_err(TrainError::setting);
            let text_encoder = trained.map_or_else(drawn, Ok)?;
            Ok::<_, TrainError>(TextToLatent { dit, text_encoder })
        })?;
        let model = placed(model, &device);
        progress.message(&format!(
            "{} images, {} words, {:.1}M parameters",
            data.num_train(),
            data.captions.vocabulary.len(),
            model.num_params() as f64 / 1e6
        ));
        let state = TrainState::new(model, run.optimizer.clone(), &run.ema);
        let samples = SampleSheet {
            autoencoder: encoder.model().clone(),
            latent_shape,
            sampler: config.objective.sampler(),
            device: device.clone(),
            own_prompts: config.sample_prompts.clone(),
        };
        let held_out_rows = data.num_held_out().min(HELD_OUT_ROWS);
        let trainer = Self {
            config: config.clone(),
            text_config,
            completion,
            seed: run.seed,
            data,
            device,
            samples,
            encoder,
            held_out_rows,
        };
        Ok((trainer, state))
    }

    fn latents(&self, values: Vec<f32>) -> Tensor<4> {
        let shape = self.data.shape();
        let dims = [values.len() / shape.len(), shape.channels, shape.height, shape.width];
        Tensor::from_data(TensorData::new(values, dims), &self.device)
    }

    fn token_ids(&self, captions: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
        pad_token_ids(captions, self.data.captions.vocabulary.end_row(), device)
    }

    /// Mean squared error of the predictions on held-out images, image `row` at time `time(row)`,
    /// under the caption of the image `caption_offset` places further: 0 is the image's own.
    fn held_out_error(
        &self,
        model: &TextToLatent,
        time: impl Fn(usize) -> f64,
        caption_offset: usize,
    ) -> f64 {
        let mut sum = 0.0;
        for first in (0..self.held_out_rows).step_by(EVALUATION_BATCH) {
            let rows = first..(first + EVALUATION_BATCH).min(self.held_out_rows);
            let numbers = self.data.shape().len();
            let mut x_0 = vec![0.0; rows.len() * numbers];
            let mut x_1 = x_0.clone();
            let mut plan = Vec::new();
            let mut captions = Vec::new();
            for (place, row) in rows.clone().enumerate() {
                let image = self.data.num_train() + row;
                let range = place * numbers..(place + 1) * numbers;
                let mut rng = keyed_rng(self.seed, purpose::EVALUATION, 0, row as u64);
                fill_normal(&mut rng, &mut x_0[range.clone()]);
                self.data.write_mean(image, &mut x_1[range]);
                let described = (row + caption_offset) % self.held_out_rows;
                let described = self.data.num_train() + described;
                captions.push(self.data.captions.full(described).to_vec());
                plan.push(self.config.objective.evaluation_row(time(row)));
            }
            let (x_0, x_1) = (self.latents(x_0), self.latents(x_1));
            let batch = Batch { rows: &plan, progress: 1.0, x_0, x_1 };
            // None of these rows needs the teacher.
            let targets = self.config.objective.targets(batch, &|input, _, _| input.x_t);
            let captions = self.token_ids(&captions, &self.device);
            let prediction = model.forward(targets.input.clone(), captions);
            sum += targets.row_losses(prediction).into_data().iter::<f64>().sum::<f64>();
        }
        sum / self.held_out_rows.max(1) as f64
    }

    /// The networks that are evaluated and exported.
    fn exported(&self, state: &TrainState<TextToLatent>) -> TextToLatent {
        let average = self.config.export.as_deref().and_then(|name| state.ema(name));
        average.cloned().unwrap_or_else(|| state.model().valid())
    }
}

/// Refuses networks and batches that this machine cannot hold.
fn check_memory(config: &DitTrainConfig, averages: usize) -> Result<(), TrainError> {
    let model = &config.model;
    let text = config.text_encoder.as_ref().map_or(0, ClipTextConfig::num_weights);
    // Weights, gradients and two moments.
    let copies = 4 + averages as u128;
    memory::check("dit.model and dit.text_encoder", copies * (model.num_weights() + text))?;
    // Every block keeps its input for the way back.
    let tokens = model.num_tokens() as u128 * model.hidden_size as u128 * model.depth as u128;
    memory::check("dit.batch_size", config.batch_size as u128 * tokens)
}

/// The rows of one step.
pub(crate) struct DitBatch {
    /// How far the run is, in [0, 1].
    progress: f64,
    rows: Vec<Row>,
    /// The image of every row.
    images: Vec<usize>,
    /// Noise and latents of the rows, one after the other.
    x_0: Vec<f32>,
    x_1: Vec<f32>,
    captions: Vec<Vec<u32>>,
    /// How much every latent position of the rows counts, one row after the other, where the data have masks.
    weights: Option<Vec<f32>>,
    /// The rows in the order of [`evenly_spaced`].
    order: Vec<usize>,
}

/// The rows of a batch in an order in which those that need the teacher, which come first and cost more, are evenly
/// spaced: any stretch holds about its part of them.
fn evenly_spaced(size: usize) -> Vec<usize> {
    // Multiples of the golden section fill the unit interval evenly, however many there are.
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| (a as f64 * GOLDEN).fract().total_cmp(&(b as f64 * GOLDEN).fract()));
    order
}

impl TrainingTask for DitTrainer {
    type Model = TextToLatent;
    type Batch = DitBatch;

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn num_train(&self) -> usize {
        self.data.num_train()
    }

    fn sample_name(&self, batch: &DitBatch, row: usize) -> String {
        self.data.name(batch.images[batch.order[row]]).to_owned()
    }

    fn batch(&self, at: &StepInfo) -> Result<DitBatch, TrainError> {
        let (size, numbers) = (self.config.batch_size, self.data.shape().len());
        let mut rngs: Vec<_> = (0..size as u64)
            .map(|row| keyed_rng(self.seed, purpose::TRAINING_ROW, at.step, row))
            .collect();
        let rows = self.config.objective.plan_rows(at.fraction, &mut rngs);
        let mut x_0 = vec![0.0; size * numbers];
        let mut x_1 = x_0.clone();
        let noise = x_0.par_chunks_exact_mut(numbers);
        let latents = x_1.par_chunks_exact_mut(numbers);
        let draws = rngs.par_iter_mut().zip(noise).zip(latents).enumerate();
        let drawn = draws.map(|(row, ((rng, noise), latent))| {
            let image = self.data.image_at(self.seed, at.step * size as u64 + row as u64);
            let caption = self.data.captions.draw(image, at.fraction, rng);
            fill_normal(rng, noise);
            let view = self.data.write_latent(image, (self.seed, at.step, row as u64), latent);
            let caption = if rows[row].drop_caption { self.data.captions.empty() } else { caption };
            (caption.to_vec(), (image, view))
        });
        let (captions, views): (_, Vec<_>) = drawn.unzip();
        let images = views.iter().map(|&(image, _)| image).collect();
        let weights = self.data.masks.as_ref().map(|masks| {
            views.into_iter().flat_map(|(image, view)| masks.weights(image, view)).collect()
        });
        // After all draws, since the objective may exchange noise between rows.
        self.config.objective.pair_noise(&mut x_0, &x_1, size);
        let order = evenly_spaced(size);
        Ok(DitBatch { progress: at.fraction, rows, images, x_0, x_1, captions, weights, order })
    }

    fn loss(
        &self,
        model: &TextToLatent,
        state: &TrainState<TextToLatent>,
        batch: &DitBatch,
        rows: Range<usize>,
    ) -> StepLoss {
        // As planned, those that need the teacher come first.
        let mut share = batch.order[rows].to_vec();
        share.sort_unstable();
        let LatentShape { channels, height, width } = self.data.shape();
        let of_share = |values: &[f32], channels| {
            let numbers = channels * height * width;
            let row = |&row: &usize| &values[row * numbers..(row + 1) * numbers];
            let values: Vec<f32> = share.iter().flat_map(row).copied().collect();
            let data = TensorData::new(values, [share.len(), channels, height, width]);
            Tensor::<4>::from_data(data, &self.device)
        };
        let (x_0, x_1) = (of_share(&batch.x_0, channels), of_share(&batch.x_1, channels));
        let weights = batch.weights.as_deref().map(|weights| of_share(weights, 1));
        let rows: Vec<Row> = share.iter().map(|&row| batch.rows[row]).collect();
        let captions: Vec<_> = share.iter().map(|&row| batch.captions[row].clone()).collect();
        let num_leading = rows.iter().filter(|row| row.needs_teacher()).count();
        let teacher = match self.config.objective.teacher() {
            _ if num_leading == 0 => None,
            Teacher::Nobody => None,
            Teacher::Average => state.ema(&self.config.teacher).cloned(),
            Teacher::Student => Some(model.valid()),
        };
        // Each text is encoded once, if it is asked about.
        let (own, null) = (OnceCell::new(), OnceCell::new());
        let network = |input: NetworkInput, on, head| {
            let teacher =
                teacher.as_ref().expect("only objectives with a teacher plan rows that need one");
            let encode = |captions: &[Vec<u32>]| {
                teacher.text_encoder.forward(self.token_ids(captions, &self.device))
            };
            let context = match on {
                Conditioning::Caption => own.get_or_init(|| encode(&captions[..num_leading])),
                Conditioning::Null => {
                    let empty = || vec![self.data.captions.empty().to_vec(); num_leading];
                    null.get_or_init(|| encode(&empty()))
                }
            };
            let context = context.first(input.x_t.dims()[0]);
            match head {
                Head::MeanVelocity => teacher.dit.forward_guided(input, &context),
                Head::Velocity => teacher.dit.forward_velocity(input, &context),
            }
        };
        let batch = Batch { rows: &rows, progress: batch.progress, x_0, x_1 };
        let mut targets = self.config.objective.targets(batch, &network);
        targets.weight.positions = weights;

        let captions = self.token_ids(&captions, &self.device.clone().autodiff());
        let input = targets.input.for_student();
        let (prediction, velocity) = match &targets.velocity {
            None => (model.forward(input, captions), None),
            Some(_) => {
                let [prediction, velocity] = model.forward_both(input, captions);
                (prediction, Some(velocity))
            }
        };
        let losses = targets.row_losses(prediction);
        let values = losses.clone().inner().into_data();
        let mut parts: Vec<LossPart> = Vec::new();
        let mut row_losses = Vec::new();
        for (row, mean) in rows.iter().zip(values.iter::<f64>()) {
            row_losses.push(RowLoss { t: row.t, log2_steps: row.log2_steps, loss: mean });
            let part = LossPart { name: row.loss_name(), mean, rows: 1 };
            match parts.iter_mut().find(|other| other.name == part.name) {
                Some(other) => other.add(part),
                None => parts.push(part),
            }
        }
        let mut loss = targets.loss(losses);
        if let Some(velocity) = velocity {
            let losses = targets.velocity_losses(velocity);
            let mean = losses.clone().inner().mean().into_scalar::<f32>();
            let (name, rows) = ("loss_velocity", rows.len());
            parts.push(LossPart { name, mean: f64::from(mean), rows });
            loss = loss + targets.loss(losses);
        }
        StepLoss { loss, parts, rows: row_losses }
    }

    fn report(
        &mut self,
        state: &TrainState<TextToLatent>,
        at: &StepInfo,
    ) -> Result<Report, TrainError> {
        let model = self.exported(state);
        let error =
            self.held_out_error(&model, |row| (row as f64 + 0.5) / self.held_out_rows as f64, 0);
        // From pure noise only the caption tells what the image is; a little later the state
        // itself gives the large shapes away. Without a difference here, captions mean nothing.
        let start = self.held_out_error(&model, |_| 0.0, 0);
        let swapped = self.held_out_error(&model, |_| 0.0, 1);
        // held_out_flow_error, but for diffusion, whose targets are others.
        let kind = self.config.objective.evaluation_row(0.0).loss_name();
        let error_name = format!("held_out_{}_error", kind.trim_start_matches("loss_"));
        let first = self.data.num_train();
        let held_out = first..first + self.data.num_held_out();
        let texts: Vec<&str> = held_out.map(|image| self.data.text(image)).collect();
        let vocabulary = &self.data.captions.vocabulary;
        let prompts = self.samples.prompts(&texts);
        let is_end = at.fraction >= 1.0;
        let (sheet, one_step_std) = self.samples.draw(&model, vocabulary, &prompts, is_end)?;
        let mut images = vec![("step", sheet)];
        if is_end && self.config.export.is_some() {
            let plain = state.model().valid();
            images.push(("step-plain", self.samples.draw(&plain, vocabulary, &prompts, is_end)?.0));
        }
        Ok(Report {
            values: vec![
                (error_name, error),
                ("held_out_start_error".to_owned(), start),
                ("held_out_start_error_swapped_captions".to_owned(), swapped),
                ("one_step_std".to_owned(), one_step_std),
            ],
            images,
            prompts: prompts.into_iter().map(str::to_owned).collect(),
        })
    }

    /// A whole pipeline, with weights in bf16.
    fn export(
        &self,
        state: &TrainState<TextToLatent>,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let TextToLatent { dit, text_encoder } = self.exported(state);
        let DitTrainConfig { name, default_steps, default_cfg_scale, .. } = &self.config;
        let objective = &self.config.objective;
        let resolution = self.encoder.resolution();
        let parts = PipelineParts {
            index: ModelIndex {
                default_cfg_scale: *default_cfg_scale,
                sampler: objective.sampler(),
                text_encoder: ModelIndex::component(self.text_config.class_name()),
                completion: self.completion.as_ref().map(|_| ModelIndex::component("Completion")),
                ..ModelIndex::new(name, resolution, *default_steps, objective.guidance())
            },
            dit,
            text_config: self.text_config.clone(),
            text_encoder,
            vocabulary: self.data.captions.vocabulary.clone(),
            vae_config: self.encoder.config().clone(),
            vae: self.encoder.model().clone(),
            completion: self.completion.clone(),
        };
        let files = Pipeline::from_parts(parts, &self.device)?.to_files(StoredDtype::Bf16)?;
        Ok(files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_of_a_batch_gets_its_part_of_the_expensive_rows() {
        for (size, expensive) in [(64, 16), (32, 8), (48, 6), (64, 48)] {
            let order = evenly_spaced(size);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..size).collect::<Vec<_>>());
            let first_half = order[..size / 2].iter().filter(|&&row| row < expensive).count();
            assert!(first_half.abs_diff(expensive / 2) <= 1, "{size}, {expensive}: {first_half}");
        }
    }
}
