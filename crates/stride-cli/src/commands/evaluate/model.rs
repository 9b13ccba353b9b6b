//! What a model draws, judged at every step count.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use burn::tensor::{Tensor, TensorData};
use sha2::{Digest as _, Sha256};
use stride::image::RgbImage;
use stride::pipeline::{GenerateRequest, Pipeline};
use stride_data::{CaptionedImage, ImageFolder, decode_rgb};
use stride_eval::certificate::Drawing;
use stride_eval::inception::Inception;
use stride_eval::pictures::hex;
use stride_eval::statistics::Gaussian;

use super::arguments::Evaluate;
use super::collect::{self, Collected, Collector, bar};
use super::folders::certificate;
use super::report::Report;
use super::result::{Reference, Scores};
use crate::interrupt;
use crate::model_folder;
use crate::output::write_whole;
use crate::usage::usage;

/// Prompts that the report shows.
const SHOWN: usize = 6;

impl Evaluate {
    /// Draws and judges; the pictures that the report does not show are dropped at once.
    pub(super) fn judge_model(&self, data: &Path) -> anyhow::Result<()> {
        if self.samples < 2 {
            return usage("--samples: expected at least 2");
        }
        if let Some(out) = self.out.as_deref().filter(|out| !out.is_dir()) {
            return usage(format!("--out {}: no such folder; create it first", out.display()));
        }
        let stop = interrupt::stop_flag()?;
        let options = &self.options;
        let folder = ImageFolder::open(data, Some(self.samples))?;
        if folder.images.len() < self.samples {
            return usage(format!(
                "--samples {}: {} lists {} pictures; name fewer samples",
                self.samples,
                data.display(),
                folder.images.len()
            ));
        }
        let inception = collect::inception(options)?;
        let device = options.device.device();
        let model = model_folder::load(self.model.as_deref(), &device)?;
        let pipeline = &model.pipeline;
        let cfg_scale = self.cfg_scale.unwrap_or(pipeline.index().default_cfg_scale);

        let (reference, floor) = self.real(&folder, pipeline, &inception)?;
        let data = folder.fingerprint()?.to_string();
        let score = |samples: &Collected, steps: Option<usize>| {
            let drawing = steps.map(|steps| Drawing {
                model: model.hash.clone(),
                steps,
                seed: self.seed,
                cfg_scale,
                data: data.clone(),
            });
            let certificate = certificate(options, &inception, samples, &reference, drawing);
            Scores::of(samples, &reference, certificate, options.bootstrap, self.seed)
        };
        let floor = score(&floor, None)?;
        let mut rows = Vec::new();
        let mut sheet = vec![Vec::new(); SHOWN.min(self.samples)];
        for &num_steps in &self.steps {
            let mut collector = Collector::new(&inception, options.protocol.protocol());
            let mut hash = Sha256::new();
            let bar = bar(self.samples, &format!("{num_steps} steps"));
            let mut batch = Vec::new();
            for (index, image) in folder.images.iter().enumerate() {
                let request = GenerateRequest {
                    prompt: image.captions[0].clone(),
                    negative_prompt: None,
                    num_steps,
                    cfg_scale,
                    seed: self.seed.wrapping_add(index as u64),
                    count: 1,
                };
                let drawn =
                    pipeline.generate(&request, &mut |_| match stop.load(Ordering::SeqCst) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    })?;
                for picture in drawn {
                    hash.update(&picture.image.pixels);
                    if let Some(row) = sheet.get_mut(index) {
                        row.push(picture.image.clone());
                    }
                    batch.push(picture.image);
                }
                if batch.len() >= options.batch.max(1) || index + 1 == self.samples {
                    collector.add(&batch)?;
                    batch.clear();
                }
                bar.inc(1);
            }
            bar.finish_and_clear();
            let samples = collector.finish(hex(&hash.finalize()))?;
            rows.push(score(&samples, Some(num_steps))?);
        }

        let report = Report {
            model: pipeline.index().name.clone(),
            model_hash: model.hash.clone(),
            cfg_scale,
            seed: self.seed,
            samples: self.samples,
            data: data.clone(),
            floor,
            rows,
            prompts: folder.images.iter().take(SHOWN).map(|i| i.captions[0].clone()).collect(),
        };
        if let Some(out) = &self.out {
            for (name, bytes) in report.files(&RgbImage::sheet(&sheet, 4))? {
                write_whole(&out.join(name), &bytes)?;
            }
        }
        report.print(options.json)
    }

    /// The real pictures, and the same after the autoencoder: no model of its latents does better.
    fn real(
        &self,
        folder: &ImageFolder,
        pipeline: &Pipeline,
        inception: &Inception,
    ) -> anyhow::Result<(Reference, Collected)> {
        let protocol = self.options.protocol.protocol();
        let (mut real, mut floor) =
            (Collector::new(inception, protocol), Collector::new(inception, protocol));
        let (mut real_hash, mut floor_hash) = (Sha256::new(), Sha256::new());
        let bar = bar(folder.images.len(), "data");
        for images in folder.images.chunks(self.options.batch.max(1)) {
            let resolution = pipeline.index().resolution;
            let pictures = images
                .iter()
                .map(|image| read(image, resolution))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let decoded = self.through_autoencoder(pipeline, &pictures);
            for (hash, pictures) in [(&mut real_hash, &pictures), (&mut floor_hash, &decoded)] {
                pictures.iter().for_each(|picture| hash.update(&picture.pixels));
            }
            real.add(&pictures)?;
            floor.add(&decoded)?;
            bar.inc(images.len() as u64);
        }
        bar.finish_and_clear();
        let real = real.finish(hex(&real_hash.finalize()))?;
        let floor = floor.finish(hex(&floor_hash.finalize()))?;
        let gaussian = Gaussian::of(&real.features)?;
        let features = Some(real.features);
        Ok((Reference { gaussian, features, sha256: real.sha256 }, floor))
    }

    fn through_autoencoder(&self, pipeline: &Pipeline, pictures: &[RgbImage]) -> Vec<RgbImage> {
        let side = pipeline.index().resolution;
        let values = pictures.iter().flat_map(|picture| {
            (0..3).flat_map(|channel| {
                let bytes = picture.pixels.iter().skip(channel).step_by(3);
                bytes.map(|&byte| f32::from(byte) / 127.5 - 1.0)
            })
        });
        let data = TensorData::new(values.collect::<Vec<f32>>(), [pictures.len(), 3, side, side]);
        let pixels = Tensor::<4>::from_data(data, &self.options.device.device());
        let vae = &pipeline.parts().vae;
        RgbImage::from_tensor(vae.decode(vae.encode(pixels)))
    }
}

fn read(image: &CaptionedImage, resolution: usize) -> anyhow::Result<RgbImage> {
    let pixels = decode_rgb(image, resolution).context("a picture of the data")?;
    Ok(RgbImage { width: resolution, height: resolution, pixels })
}
