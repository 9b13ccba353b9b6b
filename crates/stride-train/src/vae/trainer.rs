//! Trains an autoencoder on random crops of a folder of images.

use std::ops::Range;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use stride::image::RgbImage;
use stride::noise::{ChaCha8Rng, below, fill_normal, keyed_rng, purpose, uniform};
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride::weights::{self, StoredDtype};
use stride_data::ImageSet;
use stride_kernels::workers::map_on;

use super::config::VaeTrainConfig;
use super::encoder;
use super::loss::{moment_kl, reconstruction_loss, shrunk};
use crate::TrainError;
use crate::initial_weights::draw_weights;
use crate::memory;
use crate::placement::{cpu, placed};
use crate::run::{
    LossPart, Report, RunConfig, StepInfo, StepLoss, TrainState, TrainingTask, sheet,
};

/// The autoencoder's [`TrainingTask`].
pub(crate) struct VaeTrainer {
    config: VaeTrainConfig,
    model_config: AutoencoderConfig,
    seed: u64,
    images: ImageSet,
    names: Vec<String>,
    /// The last images of the set are for evaluation.
    held_out: usize,
    /// The images to train on.
    train: Vec<usize>,
    device: Device,
}

/// Marks, beside the row, the choice of a crop.
const CROP: u64 = 0;
/// Marks noise that makes the decoder forgive a transformer's errors.
const LATENTS: u64 = 1 << 32;
/// Marks the noise of a sample of the posterior.
const POSTERIOR: u64 = 2 << 32;
/// The name of the sheet of reconstructions.
const SHEET: &str = "reconstruction";
/// Images on a sheet of reconstructions.
const SHEET_COLUMNS: usize = 8;
/// Images the statistics of the latents are measured on.
const STATISTICS_IMAGES: usize = 512;
/// Images encoded and decoded at once per core.
const EVALUATION_BATCH: usize = 4;

impl VaeTrainer {
    /// Loads the images and makes or loads the model.
    ///
    /// # Errors
    /// When images or weights do not fit.
    pub(crate) fn new(
        run: &RunConfig,
        config: &VaeTrainConfig,
        device: Device,
    ) -> Result<(Self, TrainState<Autoencoder>), TrainError> {
        let (model_config, model) = make_model(run, config, &device)?;
        let factor = model_config.downsampling_factor();
        if !config.crop_size.is_multiple_of(factor) {
            let expected = format!("a multiple of {factor}, as the autoencoder halves");
            return Err(TrainError::setting(format!("vae.crop_size: expected {expected}")));
        }
        if config.loss.scale_equivariance > 0.0 && !config.crop_size.is_multiple_of(2 * factor) {
            return Err(TrainError::setting(format!(
                "vae.loss.scale_equivariance: expected a vae.crop_size that is a multiple of {}, as latents of {factor}x{factor} \
                 pixels are shrunk by 2, found {}",
                2 * factor,
                config.crop_size
            )));
        }
        let (folder, held_out) = (run.data.open()?, run.data.held_out);
        let crops = 3 * config.batch_size as u128 * (config.crop_size as u128).pow(2);
        memory::check("vae.batch_size and vae.crop_size", 2 * crops)?;
        let pixels = 3 * folder.images.len() as u128 * (run.data.resolution as u128).pow(2);
        // A byte each.
        memory::check("data.resolution and data.max_images", pixels / 4)?;
        tracing::info!("decoding {} images", folder.images.len());
        let images = ImageSet::load(&folder, run.data.resolution)?;
        let state = TrainState::new(model, run.optimizer.clone(), &run.ema);
        let (config, seed) = (config.clone(), run.seed);
        let names = folder.images.iter().map(|image| image.name.clone()).collect();
        let train = run.data.check_train(images.train_images(held_out))?;
        Ok((Self { config, model_config, seed, images, names, held_out, train, device }, state))
    }

    /// The generator of a row; `what` keeps draws for different ends apart.
    fn rng(&self, step: u64, row: usize, what: u64) -> ChaCha8Rng {
        keyed_rng(self.seed, purpose::AUTOENCODER_ROW, step, row as u64 | what)
    }

    /// Draws a crop `[3, S, S]` of a training image, and tells which.
    fn write_crop(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> usize {
        let size = self.config.crop_size;
        let index = self.train[below(rng, self.train.len())];
        let room = self.images.resolution() - size + 1;
        let (top, left) = (below(rng, room), below(rng, room));
        self.images.crop(index, top, left, size, out);
        index
    }

    /// The whole images `range`, `[n, 3, R, R]`, outside automatic differentiation.
    fn whole(&self, range: Range<usize>) -> Tensor<4> {
        let size = self.images.resolution();
        let mut pixels = vec![0.0; range.len() * 3 * size * size];
        let count = range.len();
        for (index, out) in range.zip(pixels.chunks_exact_mut(3 * size * size)) {
            self.images.crop(index, 0, 0, size, out);
        }
        Tensor::from_data(TensorData::new(pixels, [count, 3, size, size]), &self.device)
    }

    /// The whole images `range` and their reconstructions.
    fn reconstruct(&self, model: &Autoencoder, range: Range<usize>) -> [Tensor<4>; 2] {
        let target = self.whole(range);
        let reconstruction = model.decode(model.encode(target.clone())).clamp(-1.0, 1.0);
        [target, reconstruction]
    }

    /// Mean PSNR in dB over held-out images.
    fn held_out_psnr(&self, model: &Autoencoder) -> f64 {
        let all = self.images.len();
        let starts: Vec<usize> = (all - self.held_out..all).step_by(EVALUATION_BATCH).collect();
        let of_batch = |start: usize| {
            let range = start..(start + EVALUATION_BATCH).min(all);
            let count = range.len();
            let [target, reconstruction] = self.reconstruct(model, range);
            let mse = reconstruction.sub(target).square().reshape([count as i32, -1]).mean_dim(1);
            mse.into_data().iter::<f64>().map(|mse| 10.0 * (4.0 / mse).log10()).sum::<f64>()
        };
        // Collected first, so that the sum does not depend on which core was faster.
        let sums = map_on(&self.device, starts, of_batch);
        sums.iter().sum::<f64>() / self.held_out as f64
    }

    /// Held-out originals above their reconstructions.
    fn sheet(&self, model: &Autoencoder) -> Result<Vec<u8>, TrainError> {
        let first = self.images.len() - self.held_out;
        let range = first..first + self.held_out.min(SHEET_COLUMNS);
        let rows = self.reconstruct(model, range).map(RgbImage::from_tensor);
        sheet(SHEET, &rows)
    }

    /// Mean and standard deviation of every latent channel over training images.
    fn latent_statistics(&self, model: &Autoencoder) -> (Vec<f32>, Vec<f32>) {
        let count = (self.images.len() - self.held_out).min(STATISTICS_IMAGES);
        let starts: Vec<usize> = (0..count).step_by(EVALUATION_BATCH).collect();
        let of_batch = |start: usize| -> Vec<[f64; 3]> {
            let latents = model.encode(self.whole(start..(start + EVALUATION_BATCH).min(count)));
            let channels = latents.dims()[1];
            let values = latents.swap_dims(0, 1).reshape([channels as i32, -1]).into_data();
            let values: Vec<f64> = values.iter::<f64>().collect();
            let of = |v: &[f64]| [v.len() as f64, v.iter().sum(), v.iter().map(|v| v * v).sum()];
            values.chunks_exact(values.len() / channels).map(of).collect()
        };
        let sums = map_on(&self.device, starts, of_batch);
        let channels = sums.first().map_or(0, Vec::len);
        let total = |c: usize, k: usize| sums.iter().map(|sum| sum[c][k]).sum::<f64>();
        let mean = |c: usize| total(c, 1) / total(c, 0);
        let std = |c: usize| (total(c, 2) / total(c, 0) - mean(c).powi(2)).max(0.0).sqrt();
        (
            (0..channels).map(|c| mean(c) as f32).collect(),
            (0..channels).map(|c| std(c) as f32).collect(),
        )
    }
}

/// Crops of one step and the noise on their latents.
pub(crate) struct VaeBatch {
    /// The images of the crops.
    images: Vec<usize>,
    /// `[B, 3, S, S]`.
    crops: Vec<f32>,
    /// `[B, C, h, w]`, scaled by a factor that is drawn for every row.
    latent_noise: Vec<f32>,
    /// The same shape with unit variance; what draws from the posterior of a variational autoencoder.
    posterior_noise: Option<Vec<f32>>,
    /// `[C, h, w]`.
    latent_shape: [usize; 3],
}

/// Rows of `len` numbers each, one after the other, made on all cores.
fn draw_rows(count: usize, len: usize, draw: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut values = vec![0.0; count * len];
    values.par_chunks_exact_mut(len).enumerate().for_each(|(row, out)| draw(row, out));
    values
}

impl TrainingTask for VaeTrainer {
    type Model = Autoencoder;
    type Batch = VaeBatch;

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn num_train(&self) -> usize {
        self.train.len()
    }

    fn sample_name(&self, batch: &VaeBatch, row: usize) -> String {
        self.names[batch.images[row]].clone()
    }

    fn batch(&self, at: &StepInfo) -> Result<VaeBatch, TrainError> {
        let latent_shape = self.model_config.latent_shape(self.config.crop_size);
        let latent_len = latent_shape.iter().product();
        let count = self.config.batch_size;
        let mut crops = vec![0.0; count * 3 * self.config.crop_size.pow(2)];
        let rows = crops.par_chunks_exact_mut(3 * self.config.crop_size.pow(2)).enumerate();
        let draw = |(row, out)| self.write_crop(&mut self.rng(at.step, row, CROP), out);
        let images = rows.map(draw).collect();
        let latent_noise = draw_rows(count, latent_len, |row, out| {
            let mut rng = self.rng(at.step, row, LATENTS);
            let sigma = (uniform(&mut rng) * self.config.latent_noise) as f32;
            fill_normal(&mut rng, out);
            out.iter_mut().for_each(|value| *value *= sigma);
        });
        let posterior_noise = self.model_config.is_variational().then(|| {
            draw_rows(count, latent_len, |row, out| {
                fill_normal(&mut self.rng(at.step, row, POSTERIOR), out);
            })
        });
        Ok(VaeBatch { images, crops, latent_noise, posterior_noise, latent_shape })
    }

    fn loss(
        &self,
        model: &Autoencoder,
        _state: &TrainState<Autoencoder>,
        batch: &VaeBatch,
        rows: Range<usize>,
    ) -> StepLoss {
        let size = self.config.crop_size;
        let share = |values: &[f32], [channels, height, width]: [usize; 3]| {
            let numbers = channels * height * width;
            let values = values[rows.start * numbers..rows.end * numbers].to_vec();
            let data = TensorData::new(values, [rows.len(), channels, height, width]);
            Tensor::<4>::from_data(data, &self.device.clone().autodiff())
        };
        let target = share(&batch.crops, [3, size, size]);
        let (latents, kl) = match (model, &batch.posterior_noise) {
            (Autoencoder::Kl(model), Some(noise)) => {
                let posterior = model.posterior(target.clone());
                let noise = share(noise, batch.latent_shape);
                (model.scale(posterior.sample(noise)), posterior.kl())
            }
            _ => {
                let latents = model.encode(target.clone());
                (latents.clone(), moment_kl(latents))
            }
        };
        let noise = share(&batch.latent_noise, batch.latent_shape);
        let reconstruction = model.decode(latents.clone().add(noise));
        let mse = reconstruction.clone().inner().sub(target.clone().inner()).square().mean();
        let weights = &self.config.loss;
        let mut loss = reconstruction_loss(weights, reconstruction, &target);
        if !self.config.decoder_only {
            loss = loss.add(kl.clone().mul_scalar(weights.kl));
        }
        let part = |name, value: Tensor<1>| {
            let mean = value.into_data().iter::<f64>().sum();
            LossPart { name, mean, rows: rows.len() }
        };
        let mut parts = vec![part("mse", mse), part("kl", kl.inner())];
        if weights.scale_equivariance > 0.0 {
            let [latents, target] = shrunk(latents, &target);
            let error = reconstruction_loss(weights, model.decode(latents), &target);
            parts.push(part("scale_equivariance", error.clone().inner()));
            loss = loss.add(error.mul_scalar(weights.scale_equivariance));
        }
        StepLoss { loss, parts, rows: Vec::new() }
    }

    fn report(
        &mut self,
        state: &TrainState<Autoencoder>,
        _at: &StepInfo,
    ) -> Result<Report, TrainError> {
        let model = state.model().valid();
        let sheet = self.sheet(&model)?;
        Ok(Report {
            values: vec![("held_out_psnr".to_owned(), self.held_out_psnr(&model))],
            images: vec![(SHEET, sheet)],
            prompts: Vec::new(),
        })
    }

    /// Configuration and weights in f32, with the latents' statistics measured on training images, so that encoding
    /// gives unit variance.
    fn export(
        &self,
        state: &TrainState<Autoencoder>,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let model = state.model().valid();
        let mut config = self.model_config.clone();
        if !self.config.decoder_only {
            let (mean, std) = self.latent_statistics(&model);
            match &mut config {
                // One factor for all channels, as the format has it.
                AutoencoderConfig::Kl(kl) => {
                    let variance =
                        std.iter().map(|s| f64::from(s * s)).sum::<f64>() / std.len() as f64;
                    kl.scaling_factor /= variance.sqrt();
                }
                AutoencoderConfig::Tiny(tiny) => {
                    (tiny.latents_mean, tiny.latents_std) = (Some(mean), Some(std));
                }
            }
        }
        let json = serde_json::to_vec_pretty(&config);
        let json = json.map_err(TrainError::weights(Path::new(encoder::CONFIG)))?;
        let weights = weights::save(&model, "", StoredDtype::F32, &[])?;
        Ok(vec![(encoder::CONFIG.to_owned(), json), (encoder::WEIGHTS.to_owned(), weights)])
    }
}

/// The autoencoder a run starts from, on the device with automatic differentiation.
fn make_model(
    run: &RunConfig,
    config: &VaeTrainConfig,
    device: &Device,
) -> Result<(AutoencoderConfig, Autoencoder), TrainError> {
    let (model_config, model) = match (&config.init_from, &config.model) {
        (Some(dir), _) => encoder::read(dir, &cpu())?,
        (None, Some(model_config)) => {
            let model = draw_weights(&cpu(), run.seed, || model_config.init(&cpu()));
            let model =
                model.map_err(|error| TrainError::setting(format!("vae.model: {error}")))?;
            (model_config.clone(), model)
        }
        (None, None) => return Err(TrainError::setting("[vae.model] is missing")),
    };
    let model = placed(model, device);
    let model = if config.decoder_only {
        model.map(&mut FreezeEncoder { path: Vec::new() })
    } else {
        model
    };
    Ok((model_config, model))
}

/// Leaves the decoder trained and nothing else.
struct FreezeEncoder {
    path: Vec<String>,
}

impl ModuleMapper for FreezeEncoder {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The decoder, its colour path and AutoencoderKl's convolution in front of it.
        let is_decoder =
            self.path.iter().any(|part| part.starts_with("decoder") || part == "post_quant_conv");
        if is_decoder { param } else { param.set_require_grad(false) }
    }
}
