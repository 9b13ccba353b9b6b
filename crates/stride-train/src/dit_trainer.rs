//! Trains the transformer and the text encoder on cached latents.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use stride::clip::ClipTextConfig;
use stride::dit::DitConfig;
use stride::noise::{fill_normal, keyed_rng, purpose};
use stride::objective::{
    BASE_LEVEL, Conditioning, ObjectiveConfig, Row, RowKind, plan_rows, training_targets,
};
use stride::pipeline::{Guidance, ModelIndex, Pipeline, PipelineParts};
use stride::tokenizer::pad_token_ids;
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride::weights::StoredDtype;

use crate::TrainError;
use crate::autoencoder_folder;
use crate::config::{RunConfig, check};
use crate::dit_data::DitData;
use crate::dit_model::TextToLatent;
use crate::dit_samples::SampleSheet;
use crate::progress::Progress;
use crate::train_loop::{LossPart, StepInfo, StepLoss, TrainState, Trainee};

/// Settings of transformer training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitTrainConfig {
    /// Rows of a batch.
    pub batch_size: usize,
    /// Folder of the autoencoder: `config.json` and its weights.
    pub autoencoder: PathBuf,
    /// File of the cached latents; made if it is missing or stale.
    pub latent_cache: PathBuf,
    /// What is learned.
    pub objective: ObjectiveConfig,
    /// The transformer; `input_size`, `in_channels` and `context_dim` must fit its neighbours.
    pub model: DitConfig,
    /// The text encoder; `vocab_size` and `eos_token_id` are set from the captions.
    pub text_encoder: ClipTextConfig,
    /// Name of the average that gives self-consistency targets.
    #[serde(default = "default_teacher")]
    pub teacher: String,
    /// Name of the average that is evaluated and exported; the plain weights if absent.
    pub export: Option<String>,
    /// Name of the exported model.
    #[serde(default = "default_name")]
    pub name: String,
    /// Steps of the exported model when none are asked for.
    #[serde(default = "default_steps")]
    pub default_steps: usize,
    /// Guidance scale of the exported model when none is asked for.
    #[serde(default = "default_cfg_scale")]
    pub default_cfg_scale: f64,
}

fn default_name() -> String {
    "stride".to_owned()
}

fn default_steps() -> usize {
    4
}

fn default_cfg_scale() -> f64 {
    1.0
}

fn default_teacher() -> String {
    "teacher".to_owned()
}

impl DitTrainConfig {
    pub(crate) fn validate(&self, ema_names: &[&str]) -> Result<(), String> {
        check(self.batch_size > 0, "dit.batch_size", "at least 1")?;
        self.objective.validate(self.batch_size).map_err(|e| format!("dit.objective: {e}"))?;
        self.model.validate().map_err(|e| format!("dit.model: {e}"))?;
        if matches!(self.objective, ObjectiveConfig::Shortcut(_)) {
            let known = ema_names.contains(&self.teacher.as_str());
            check(known, "dit.teacher", "the name of an entry of [[ema]]")?;
        }
        check(
            self.default_cfg_scale == 1.0 || self.guidance() == Guidance::AnyLevel,
            "dit.default_cfg_scale",
            "1, unless dit.objective.bootstrap_cond_dropout teaches the empty caption",
        )?;
        let known = self.export.as_deref().is_none_or(|name| ema_names.contains(&name));
        check(known, "dit.export", "the name of an entry of [[ema]]")?;
        let width = self.text_encoder.pooled_size();
        check(
            self.model.context_dim == width,
            "dit.model.context_dim",
            &format!("{width}, the width of the text encoder's output"),
        )
    }

    /// Where the trained model knows the empty caption.
    fn guidance(&self) -> Guidance {
        match &self.objective {
            ObjectiveConfig::Shortcut(config) if config.bootstrap_cond_dropout => {
                Guidance::AnyLevel
            }
            _ => Guidance::BaseLevel,
        }
    }
}

/// The transformer's [`Trainee`].
pub struct DitTrainer {
    config: DitTrainConfig,
    seed: u64,
    data: DitData,
    device: Device,
    samples: SampleSheet,
    autoencoder: Autoencoder,
    autoencoder_config: AutoencoderConfig,
    resolution: usize,
    held_out_rows: usize,
}

/// Held-out images the flow-matching error is measured on.
const HELD_OUT_ROWS: usize = 128;
/// Rows evaluated at once.
const EVALUATION_BATCH: usize = 32;

impl DitTrainer {
    /// Loads or makes the latents, tokenises the captions and makes the networks.
    ///
    /// # Errors
    /// Data, autoencoder or configuration do not fit.
    pub fn new(
        run: &RunConfig,
        progress: &mut dyn Progress,
    ) -> Result<(Self, TrainState<TextToLatent>), TrainError> {
        let problem =
            |problem: String| TrainError::Config { path: run.run_dir.join("config.toml"), problem };
        let mut config = run
            .dit
            .clone()
            .ok_or_else(|| problem("kind = \"dit\" needs a section [dit]".to_owned()))?;
        let device = Device::flex();
        let (autoencoder_config, autoencoder) =
            autoencoder_folder::read(&config.autoencoder, &device)?;
        let latent_shape = autoencoder_config.latent_shape(run.data.resolution);
        let expected = [config.model.in_channels, config.model.input_size, config.model.input_size];
        if latent_shape != expected {
            return Err(problem(format!(
                "dit.model: the autoencoder makes latents of {latent_shape:?}, but in_channels and \
                 input_size say {expected:?}"
            )));
        }
        let data = DitData::load(
            &run.data,
            &autoencoder,
            &config.autoencoder,
            &config.latent_cache,
            &device,
            progress,
        )?;
        config.text_encoder.vocab_size = data.vocabulary.len();
        config.text_encoder.eos_token_id = data.vocabulary.end_row() as usize;

        let autodiff = device.clone().autodiff();
        autodiff.seed(run.seed);
        let model = TextToLatent {
            dit: config.model.init(&autodiff).map_err(|e| problem(e.to_string()))?,
            text_encoder: config
                .text_encoder
                .init(&autodiff)
                .map_err(|e| problem(e.to_string()))?,
        };
        progress.message(&format!(
            "{} images, {} words, {:.1}M parameters",
            data.num_train(),
            data.vocabulary.len(),
            model.num_params() as f64 / 1e6
        ));
        let state = TrainState::new(model, run.optimizer.clone(), &run.ema);
        let samples = SampleSheet::new(autoencoder.clone(), latent_shape);
        let held_out_rows = (data.latents.len() - data.num_train()).min(HELD_OUT_ROWS);
        let trainer = Self {
            config,
            seed: run.seed,
            data,
            device,
            samples,
            autoencoder,
            autoencoder_config,
            resolution: run.data.resolution,
            held_out_rows,
        };
        Ok((trainer, state))
    }

    /// The rows of a share of a batch, self-consistency rows first, with noise, data and captions.
    fn batch(&self, at: &StepInfo, share: Range<usize>) -> Batch {
        let size = self.config.batch_size;
        let mut rngs: Vec<_> = (0..size as u64)
            .map(|row| keyed_rng(self.seed, purpose::TRAINING_ROW, at.step, row))
            .collect();
        let plan = plan_rows(&self.config.objective, at.fraction, &mut rngs);
        let mut indices = spread(size)[share].to_vec();
        indices.sort_unstable();

        let numbers = self.data.latents.shape().len();
        let mut x_0 = vec![0.0; indices.len() * numbers];
        let mut x_1 = x_0.clone();
        let mut captions = Vec::with_capacity(indices.len());
        for (place, &row) in indices.iter().enumerate() {
            let rng = &mut rngs[row];
            let visit = at.step * size as u64 + row as u64;
            let image = self.data.image_at(self.seed, visit);
            let caption = self.data.caption(image, rng);
            let caption = if plan[row].drop_caption { self.data.empty_caption() } else { caption };
            captions.push(caption.to_vec());
            let range = place * numbers..(place + 1) * numbers;
            fill_normal(rng, &mut x_0[range.clone()]);
            x_1[range].copy_from_slice(self.data.latents.latent(image));
        }
        let rows = indices.iter().map(|&row| plan[row]).collect();
        Batch { rows, x_0: self.latents(x_0), x_1: self.latents(x_1), captions }
    }

    fn latents(&self, values: Vec<f32>) -> Tensor<4> {
        let shape = self.data.latents.shape();
        let dims = [values.len() / shape.len(), shape.channels, shape.height, shape.width];
        Tensor::from_data(TensorData::new(values, dims), &self.device)
    }

    fn token_ids(&self, captions: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
        pad_token_ids(captions, self.data.vocabulary.end_row(), device)
    }

    /// Mean squared error of the velocity on held-out images, image `row` at time `time(row)`,
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
            let numbers = self.data.latents.shape().len();
            let mut x_0 = vec![0.0; rows.len() * numbers];
            let mut x_1 = x_0.clone();
            let mut plan = Vec::new();
            let mut captions = Vec::new();
            for (place, row) in rows.clone().enumerate() {
                let image = self.data.num_train() + row;
                let range = place * numbers..(place + 1) * numbers;
                let mut rng = keyed_rng(self.seed, purpose::EVALUATION, 0, row as u64);
                fill_normal(&mut rng, &mut x_0[range.clone()]);
                x_1[range].copy_from_slice(self.data.latents.latent(image));
                let described = (row + caption_offset) % self.held_out_rows;
                let described = self.data.num_train() + described;
                captions.push(self.data.full_caption(described).to_vec());
                plan.push(Row {
                    kind: RowKind::Flow,
                    t: time(row),
                    log2_steps: BASE_LEVEL,
                    drop_caption: false,
                });
            }
            let targets = training_targets(
                &self.config.objective,
                &plan,
                self.latents(x_0),
                self.latents(x_1),
                &|x, _, _, _| x,
            );
            let captions = self.token_ids(&captions, &self.device);
            let prediction = model.forward(
                targets.x_t.clone(),
                targets.t.clone(),
                targets.log2_steps.clone(),
                captions,
            );
            sum += targets.row_losses(prediction).into_data().iter::<f64>().sum::<f64>();
        }
        sum / self.held_out_rows.max(1) as f64
    }

    /// The networks that are judged and exported.
    fn exported(&self, state: &TrainState<TextToLatent>) -> TextToLatent {
        let average = self.config.export.as_deref().and_then(|name| state.ema(name));
        average.cloned().unwrap_or_else(|| state.model().valid())
    }
}

/// One share of a training batch.
struct Batch {
    rows: Vec<Row>,
    x_0: Tensor<4>,
    x_1: Tensor<4>,
    captions: Vec<Vec<u32>>,
}

/// The rows of a batch in an order of which any stretch holds about its part of the
/// self-consistency rows, which come first among the rows and cost more.
fn spread(size: usize) -> Vec<usize> {
    // Multiples of the golden section fill the unit interval evenly, however many there are.
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| (a as f64 * GOLDEN).fract().total_cmp(&(b as f64 * GOLDEN).fract()));
    order
}

/// Names of the losses by level; level 7 is flow matching.
const LEVEL_NAMES: [&str; BASE_LEVEL as usize + 1] = [
    "loss_d1",
    "loss_d1/2",
    "loss_d1/4",
    "loss_d1/8",
    "loss_d1/16",
    "loss_d1/32",
    "loss_d1/64",
    "loss_flow",
];

impl Trainee for DitTrainer {
    type Model = TextToLatent;

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn loss(
        &self,
        model: &TextToLatent,
        state: &TrainState<TextToLatent>,
        at: &StepInfo,
        share: Range<usize>,
    ) -> Result<StepLoss, TrainError> {
        let Batch { rows, x_0, x_1, captions } = self.batch(at, share);
        let num_bootstrap = rows.iter().filter(|row| row.kind == RowKind::Bootstrap).count();
        // Only the shortcut objective plans such rows, and its configuration names a teacher.
        let teacher = state.ema(&self.config.teacher).filter(|_| num_bootstrap > 0);
        let contexts = teacher.map(|teacher| {
            let of = |captions: &[Vec<u32>]| {
                teacher.text_encoder.forward(self.token_ids(captions, &self.device))
            };
            let empty = vec![self.data.empty_caption().to_vec(); num_bootstrap];
            (teacher, of(&captions[..num_bootstrap]), of(&empty))
        });
        let targets =
            training_targets(&self.config.objective, &rows, x_0, x_1, &|x, t, k, on| match (
                &contexts, on,
            ) {
                (Some((teacher, caption, _)), Conditioning::Caption) => {
                    teacher.dit.forward(x, t, k, caption)
                }
                (Some((teacher, _, null)), Conditioning::Null) => {
                    teacher.dit.forward(x, t, k, null)
                }
                (None, _) => x,
            });

        let prediction = model.forward(
            Tensor::from_inner(targets.x_t.clone()),
            Tensor::from_inner(targets.t.clone()),
            Tensor::from_inner(targets.log2_steps.clone()),
            self.token_ids(&captions, &self.device.clone().autodiff()),
        );
        let losses = targets.row_losses(prediction);
        let values: Vec<f64> = losses.clone().inner().into_data().iter::<f64>().collect();
        let parts = (0..=BASE_LEVEL).filter_map(|level| {
            let of_level = rows.iter().zip(&values).filter(|(row, _)| row.log2_steps == level);
            let (count, sum) = of_level.fold((0, 0.0), |(n, sum), (_, value)| (n + 1, sum + value));
            (count > 0).then(|| LossPart {
                name: LEVEL_NAMES[level as usize],
                mean: sum / count as f64,
                rows: count,
            })
        });
        Ok(StepLoss { parts: parts.collect(), loss: losses.mean() })
    }

    fn report(
        &mut self,
        state: &TrainState<TextToLatent>,
        at: &StepInfo,
        run_dir: &Path,
    ) -> Result<Vec<(String, f64)>, TrainError> {
        let model = self.exported(state);
        let error =
            self.held_out_error(&model, |row| (row as f64 + 0.5) / self.held_out_rows as f64, 0);
        // From pure noise only the caption tells what the picture is; a little later the state
        // itself gives the large shapes away. Without a difference here, captions mean nothing.
        let start = self.held_out_error(&model, |_| 0.0, 0);
        let swapped = self.held_out_error(&model, |_| 0.0, 1);
        let dir = run_dir.join("samples");
        fs::create_dir_all(&dir).map_err(TrainError::io(&dir))?;
        let first = self.data.num_train();
        let texts: Vec<&str> = self.data.texts[first..].iter().map(String::as_str).collect();
        let spread = self.samples.write(
            &model,
            &self.data.vocabulary,
            &texts,
            &dir.join(format!("step-{:06}.png", at.step)),
        )?;
        Ok(vec![
            ("held_out_flow_error".to_owned(), error),
            ("held_out_start_error".to_owned(), start),
            ("held_out_start_error_swapped_captions".to_owned(), swapped),
            ("one_step_std".to_owned(), spread),
        ])
    }

    /// Writes `model/`, a model folder, with weights in bf16.
    fn export(
        &mut self,
        state: &TrainState<TextToLatent>,
        run_dir: &Path,
    ) -> Result<(), TrainError> {
        let TextToLatent { dit, text_encoder } = self.exported(state);
        let DitTrainConfig { name, default_steps, default_cfg_scale, .. } = &self.config;
        let guidance = self.config.guidance();
        let parts = PipelineParts {
            index: ModelIndex {
                default_cfg_scale: *default_cfg_scale,
                ..ModelIndex::new(name, self.resolution, *default_steps, guidance)
            },
            dit,
            text_config: self.config.text_encoder.clone(),
            text_encoder,
            vocabulary: self.data.vocabulary.clone(),
            vae_config: self.autoencoder_config.clone(),
            vae: self.autoencoder.clone(),
        };
        let files = Pipeline::from_parts(parts, &self.device)?.to_files(StoredDtype::Bf16)?;
        for (name, bytes) in files.iter() {
            let path = run_dir.join("model").join(name);
            let folder = path.parent().unwrap_or(run_dir);
            fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
            fs::write(&path, bytes).map_err(TrainError::io(&path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_of_a_batch_gets_its_part_of_the_expensive_rows() {
        for (size, expensive) in [(64, 16), (32, 8), (48, 6), (64, 48)] {
            let order = spread(size);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..size).collect::<Vec<_>>());
            let first_half = order[..size / 2].iter().filter(|&&row| row < expensive).count();
            assert!(first_half.abs_diff(expensive / 2) <= 1, "{size}, {expensive}: {first_half}");
        }
    }
}
