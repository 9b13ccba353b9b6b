//! An autoencoder of a folder as what makes latents.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use stride::vae::{Autoencoder, AutoencoderConfig};
use stride_data::{ContentHash, LatentEncoder, LatentShape, check_resolution};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;
use stride_kernels::workers::{Workers, split_evenly};
use stride_models::{Component, Role};

use crate::TrainError;

/// Images of a worker's batch for the tiny autoencoder, and for the large one, whose activations take a hundred
/// times as much memory.
const TINY_BATCH: usize = 8;
const KL_BATCH: usize = 1;
/// The resolution up to which a worker takes a whole batch; beyond it, as many pixels as these images have.
const FULL_BATCH_RESOLUTION: usize = 512;

/// The encoder of an autoencoder that Stride or diffusers wrote, for images of one size, on every core.
pub struct ImageEncoder {
    config: AutoencoderConfig,
    model: Autoencoder,
    identity: ContentHash,
    resolution: usize,
    precision: Precision,
    workers: Workers,
    device: Device,
}

impl ImageEncoder {
    /// Reads the autoencoder in a folder for images of this height and width, with products in `compute`.
    ///
    /// # Errors
    /// A file is missing, the files do not fit each other, or the autoencoder cannot take images of this size.
    pub fn open(
        dir: &Path,
        resolution: usize,
        compute: Compute,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let (config, model) = read(dir, device)?;
        if config.channels() != [3, 3] {
            let problem = format!("expected 3 channels in and out, found {:?}", config.channels());
            return Err(TrainError::Weights { path: dir.to_owned(), problem });
        }
        let factor = config.downsampling_factor();
        check_resolution(resolution)?;
        if !resolution.is_multiple_of(factor) {
            return Err(TrainError::Resolution { path: dir.to_owned(), factor, resolution });
        }
        let files = files(dir)?;
        let read = |path: &PathBuf| stride_files::read_file(path).map_err(TrainError::io(path));
        let files = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let identity = ContentHash::of_parts(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let workers = Workers::on(device).map_err(TrainError::threads)?;
        let (precision, device) = (Precision::inference(compute), device.clone());
        Ok(Self { config, model, identity, resolution, precision, workers, device })
    }

    /// The autoencoder's configuration.
    pub fn config(&self) -> &AutoencoderConfig {
        &self.config
    }

    /// The autoencoder.
    pub fn model(&self) -> &Autoencoder {
        &self.model
    }
}

impl LatentEncoder for ImageEncoder {
    fn resolution(&self) -> usize {
        self.resolution
    }

    fn latent_shape(&self) -> LatentShape {
        let [channels, height, width] = self.config.latent_shape(self.resolution);
        LatentShape { channels, height, width }
    }

    fn is_variational(&self) -> bool {
        self.config.is_variational()
    }

    fn identity(&self) -> ContentHash {
        self.identity
    }

    fn dtype(&self) -> &'static str {
        self.precision.compute().name()
    }

    fn batch_size(&self) -> usize {
        let of_worker = match self.config {
            AutoencoderConfig::Kl(_) => KL_BATCH,
            AutoencoderConfig::Tiny(_) => TINY_BATCH,
        };
        let excess = self.resolution.div_ceil(FULL_BATCH_RESOLUTION).pow(2);
        (of_worker / excess).max(1) * self.workers.count()
    }

    fn encode(&self, pixels: Vec<f32>) -> Vec<f32> {
        let (side, size) = (self.resolution, 3 * self.resolution * self.resolution);
        let shares = split_evenly(pixels.len() / size, self.workers.count());
        let encoded = self.workers.run(shares, |range| {
            let shape = [range.len(), 3, side, side];
            let pixels = pixels[range.start * size..range.end * size].to_vec();
            let pixels = Tensor::from_data(TensorData::new(pixels, shape), &self.device);
            let moments = self.precision.scope(|| self.model.encode_moments(pixels));
            moments.into_data().iter::<f32>().collect::<Vec<f32>>()
        });
        encoded.concat()
    }
}

/// The file of the configuration.
pub(crate) const CONFIG: &str = "config.json";
/// The file of the weights that training writes, as diffusers names it.
pub(crate) const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Reads an autoencoder that Stride or diffusers wrote: its own folder, or a pipeline with `vae/`.
///
/// # Errors
/// A file is missing, or the two do not fit each other.
pub(crate) fn read(
    dir: &Path,
    device: &Device,
) -> Result<(AutoencoderConfig, Autoencoder), TrainError> {
    Ok(stride_models::vae(dir, device)?)
}

/// The files that decide what it computes: configuration first, then weights.
///
/// # Errors
/// A file is missing.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>, TrainError> {
    Ok(Component::open(dir, Role::Vae)?.files()?)
}
