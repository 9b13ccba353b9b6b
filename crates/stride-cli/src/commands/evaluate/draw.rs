//! Images of a set, drawn or read, and what the networks say about them.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use burn::tensor::{Tensor, TensorData};
use stride::image::{PngMetadata, RgbImage, png_bytes};
use stride::pipeline::{GenerateRequest, Pipeline};
use stride_data::{CaptionedImage, decode_rgb};
use stride_kernels::workers::{Workers, split_evenly};

use super::arguments::Job;
use super::judged::{BATCH, Judged};
use super::networks::Networks;
use super::store::SetName;
use super::subjects::{Data, Subject};
use crate::output::write_whole;

/// Images of one caption whose differences are measured.
pub(super) const ONE_CAPTION: usize = 16;

/// Where the images of a set come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The data.
    Real,
    /// The data after the autoencoder: no model of its latents comes nearer.
    Autoencoder,
    /// The captions of the data, drawn by a model.
    Drawn { subject: usize, steps: usize },
    /// The first caption of the data again and again.
    OneCaption { steps: usize },
}

/// A set whose features are wanted.
pub(super) struct Wanted {
    pub(super) data: usize,
    pub(super) origin: Origin,
    pub(super) count: usize,
    pub(super) name: SetName,
}

impl Wanted {
    pub(super) fn new(
        job: &Job,
        subjects: &[Subject],
        data: &[Data],
        at: usize,
        origin: Origin,
    ) -> Self {
        let label = data[at].label;
        let name = match origin {
            Origin::Real => format!("{label}/real"),
            Origin::Autoencoder => format!("{label}/autoencoder"),
            Origin::OneCaption { steps } => format!("{label}/one-caption-{steps}"),
            Origin::Drawn { subject, steps } => match subjects[subject].training_step {
                None => format!("{label}/steps-{steps}"),
                Some(step) => format!("{label}/checkpoint-{step:06}-steps-{steps}"),
            },
        };
        let count = match origin {
            Origin::OneCaption { .. } => ONE_CAPTION,
            _ => job.samples,
        };
        Self { data: at, origin, count, name: SetName(name) }
    }

    /// Time of an image, in about that of a step of a small model; a look by Inception takes ten.
    pub(super) fn cost(&self) -> u64 {
        match self.origin {
            Origin::Real => 10,
            Origin::Autoencoder => 14,
            Origin::Drawn { steps, .. } | Origin::OneCaption { steps } => steps as u64 + 12,
        }
    }
}

/// Everything that images are made with.
pub(super) struct Studio<'a> {
    pub(super) job: &'a Job,
    pub(super) subjects: &'a [Subject],
    pub(super) data: &'a [Data],
    pub(super) networks: &'a Networks,
    /// Where images are written, if they are.
    pub(super) images: Option<&'a Path>,
    pub(super) workers: &'a Workers,
    pub(super) stop: &'a AtomicBool,
}

impl Studio<'_> {
    /// What the networks say about some images of a set, each core at its own share.
    pub(super) fn judge(&self, wanted: &Wanted, range: &Range<usize>) -> anyhow::Result<Judged> {
        let of_share = |share: Range<usize>| {
            let indices: Vec<usize> = share.map(|place| range.start + place).collect();
            let mut all: Option<Judged> = None;
            for batch in indices.chunks(BATCH) {
                let images = self.images(wanted, batch)?;
                let judged = self.networks.look(&images, self.job.protocol.protocol())?;
                match &mut all {
                    Some(all) => all.extend(&judged)?,
                    None => all = Some(judged),
                }
            }
            all.context("a share without images")
        };
        let shares = split_evenly(range.len(), self.workers.count());
        let mut shares = self.workers.run(shares, of_share).into_iter();
        let mut all = shares.next().context("a block without images")??;
        for share in shares {
            all.extend(&share?)?;
        }
        Ok(all)
    }

    /// The images of a set at some places.
    fn images(&self, wanted: &Wanted, indices: &[usize]) -> anyhow::Result<Vec<RgbImage>> {
        let images = &self.data[wanted.data].folder.images;
        let pipeline = &self.subjects[0].pipeline;
        let real = || {
            let read = |&index: &usize| read(&images[index], pipeline.index().resolution);
            indices.iter().map(read).collect::<anyhow::Result<Vec<_>>>()
        };
        let images = match wanted.origin {
            Origin::Real => real()?,
            Origin::Autoencoder => self.through_autoencoder(pipeline, &real()?),
            Origin::Drawn { subject, steps } => indices
                .iter()
                .map(|&index| self.draw(subject, &images[index].captions[0], index, steps))
                .collect::<anyhow::Result<_>>()?,
            Origin::OneCaption { steps } => indices
                .iter()
                .map(|&index| self.draw(0, &images[0].captions[0], index, steps))
                .collect::<anyhow::Result<_>>()?,
        };
        if let Some(folder) = self.images.map(|images| images.join(&wanted.name.0)) {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            for (index, image) in indices.iter().zip(&images) {
                let bytes = png_bytes(image, &PngMetadata::default())?;
                write_whole(&folder.join(format!("{index:06}.png")), &bytes)?;
            }
        }
        Ok(images)
    }

    /// One image; image `index` has the same noise with every model and step count.
    pub(super) fn draw(
        &self,
        subject: usize,
        prompt: &str,
        index: usize,
        num_steps: usize,
    ) -> anyhow::Result<RgbImage> {
        self.draw_seen(subject, prompt, index, num_steps, &mut |_| {})
    }

    /// [`Self::draw`] with a look at the image after every step.
    pub(super) fn draw_seen(
        &self,
        subject: usize,
        prompt: &str,
        index: usize,
        num_steps: usize,
        seen: &mut dyn FnMut(stride::pipeline::StepEvent<'_>),
    ) -> anyhow::Result<RgbImage> {
        let pipeline = &self.subjects[subject].pipeline;
        let request = GenerateRequest {
            prompt: prompt.to_owned(),
            negative_prompt: None,
            num_steps,
            cfg_scale: cfg_scale(self.job, pipeline),
            seed: self.job.seed.wrapping_add(index as u64),
            count: 1,
        };
        let drawn = pipeline.generate(&request, &mut |event| {
            seen(event);
            match self.stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        if self.stop.load(Ordering::Relaxed) {
            bail!("interrupted; with --out, the same command goes on from here");
        }
        let image = drawn?.pop().context("the pipeline drew nothing")?;
        Ok(image.image)
    }

    fn through_autoencoder(&self, pipeline: &Pipeline, images: &[RgbImage]) -> Vec<RgbImage> {
        let side = pipeline.index().resolution;
        let values = images.iter().flat_map(|image| {
            (0..3).flat_map(|channel| {
                let bytes = image.pixels.iter().skip(channel).step_by(3);
                bytes.map(|&byte| f32::from(byte) / 127.5 - 1.0)
            })
        });
        let data = TensorData::new(values.collect::<Vec<f32>>(), [images.len(), 3, side, side]);
        let pixels = Tensor::<4>::from_data(data, &self.job.compute.device());
        let vae = &pipeline.parts().vae;
        pipeline.precision().scope(|| RgbImage::from_tensor(vae.decode(vae.encode(pixels))))
    }
}

/// The strength of guidance of a job.
pub(super) fn cfg_scale(job: &Job, pipeline: &Pipeline) -> f64 {
    job.cfg_scale.unwrap_or(pipeline.index().default_cfg_scale)
}

fn read(image: &CaptionedImage, resolution: usize) -> anyhow::Result<RgbImage> {
    let pixels = decode_rgb(image, resolution).context("an image of the data")?;
    Ok(RgbImage { width: resolution, height: resolution, pixels })
}
