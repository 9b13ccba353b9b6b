//! Makes files of images, beside the engine.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use axum::body::Bytes;
use stride::image::{ImageMetadata, RgbImage};
use stride::pipeline::{GenerateRequest, GeneratedImage, Pipeline, Record};

use crate::error::ApiError;
use crate::facts::Facts;
use crate::format::Format;
use crate::gallery::{Gallery, PictureSettings};
use crate::job::{Job, Picture, Preview};
use crate::metrics::Metrics;

/// What the engine hands over.
pub(super) enum Finish {
    /// An image is drawn.
    Image { job: Arc<Job>, index: usize, image: GeneratedImage, accepted: Instant },
    /// An image looks like this after some steps.
    Preview { job: Arc<Job>, index: usize, step: usize, image: RgbImage },
}

/// What a file needs to be made and kept.
pub(super) struct Finisher {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) facts: Arc<Facts>,
    pub(super) gallery: Option<Arc<Gallery>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Finisher {
    /// Takes images until the engine ends.
    pub(super) fn run(&self, work: &Receiver<Finish>) {
        for finish in work {
            match finish {
                Finish::Preview { job, index, step, image } => {
                    if let Ok(bytes) = Format::PREVIEW.encode(&image, &ImageMetadata::default()) {
                        job.set_preview(index, Preview { step, bytes: bytes.into() });
                    }
                }
                Finish::Image { job, index, image, accepted } => {
                    match self.picture(&job, &image) {
                        Ok(picture) => {
                            self.metrics.images.inc();
                            job.set_picture(index, picture);
                        }
                        Err(error) => job.fail(error),
                    }
                    if job.state().status.has_ended() {
                        self.metrics.job_seconds.observe(accepted.elapsed().as_secs_f64());
                    }
                }
            }
        }
    }

    /// The file of an image, which is in the gallery before anybody hears of it.
    fn picture(&self, job: &Job, image: &GeneratedImage) -> Result<Picture, ApiError> {
        let order = &job.order;
        let hash = &self.facts.model_hash;
        let record = Record { pipeline: &self.pipeline, hash, strength: None };
        let metadata = record.metadata(&order.request, image.seed, &image.prompt);
        let encode = |format: Format| {
            let bytes = format.encode(&image.image, &metadata);
            bytes.map(Bytes::from).map_err(|error| ApiError::internal(error.to_string()))
        };
        let bytes = encode(order.format)?;
        let gallery_id = match &self.gallery {
            Some(gallery) => {
                let png =
                    if order.format == Format::Png { bytes.clone() } else { encode(Format::Png)? };
                self.keep(gallery, &png, &order.request, image)
            }
            None => None,
        };
        let completed_prompt = order.request.completed(&image.prompt).map(str::to_owned);
        Ok(Picture { seed: image.seed, completed_prompt, bytes, gallery_id })
    }

    /// Puts an image into the gallery; a client gets its image even where the disk is full.
    fn keep(
        &self,
        gallery: &Gallery,
        png: &[u8],
        request: &GenerateRequest,
        image: &GeneratedImage,
    ) -> Option<i64> {
        let settings = PictureSettings {
            prompt: request.prompt.clone(),
            completed_prompt: request.completed(&image.prompt).map(str::to_owned),
            as_typed: request.as_typed,
            negative_prompt: request.negative_prompt.clone(),
            seed: image.seed,
            steps: request.num_steps,
            cfg_scale: request.cfg_scale,
            width: image.image.width,
            height: image.image.height,
            model: self.facts.model.clone(),
            model_hash: self.facts.model_hash.clone(),
        };
        match gallery.add(png, &settings) {
            Ok(id) => Some(id),
            Err(error) => {
                tracing::error!("a picture is not in the gallery: {error}");
                self.metrics.count_failure("gallery");
                None
            }
        }
    }
}
