//! CLIP, whose vectors of images and captions lie in one space.

use std::path::Path;

use anyhow::{Context as _, bail};
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stride::clip::{ClipTextModel, ClipVisionModel, clip_pixels};
use stride::image::RgbImage;
use stride::tokenizer::{ClipTokenizer, VOCABULARY_SIZE, Vocabulary, pad_token_ids};
use stride_eval::embedding_score::{pair_score, r_precision};
use stride_eval::images::hex;
use stride_eval::{EvalError, Features};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;
use stride_models::{Component, Role};

/// Captions among which an image's own must be the nearest.
const CANDIDATES: usize = 100;
/// Captions that are encoded together.
const BATCH: usize = 32;

/// Both sides of a CLIP.
pub(super) struct ClipScorer {
    text: ClipTextModel,
    image: ClipVisionModel,
    image_size: usize,
    tokenizer: ClipTokenizer,
    /// SHA-256 of the files of both sides.
    sha256: String,
    precision: Precision,
    device: Device,
}

/// How well images go with captions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct ClipScore {
    /// 100 times the mean cosine of every image with its own caption.
    pub(super) own: f64,
    /// The same with the caption of the next image: what a model without captions reaches.
    pub(super) shuffled: f64,
    /// Share of the images whose own caption is the nearest of 100; absent for fewer.
    pub(super) r_precision: Option<f64>,
}

impl ClipScorer {
    /// Loads both sides from the folder of a whole CLIP.
    pub(super) fn load(dir: &Path, device: &Device) -> anyhow::Result<Self> {
        let (text_config, text) = stride_models::text_encoder(dir, device)?;
        let (image_config, image) = stride_models::image_encoder(dir, device)?;
        let found = [
            text_config.has_projection().then_some(text_config.pooled_size()),
            image_config.projection_dim.filter(|_| image_config.has_projection()),
        ];
        match found {
            [Some(text), Some(image)] if text == image => {}
            _ => bail!(
                "{}: expected a CLIPModel, whose text and images are projected to vectors of one width; found widths \
                 {found:?}",
                dir.display()
            ),
        }
        let tokenizer = ClipTokenizer::new()?;
        if text_config.vocab_size != VOCABULARY_SIZE {
            bail!(
                "{}: expected CLIP's vocabulary of {VOCABULARY_SIZE} tokens, found {}",
                dir.display(),
                text_config.vocab_size
            );
        }
        // An encoder with fewer positions gets shorter captions.
        let max_length = tokenizer.max_length().min(text_config.max_position_embeddings);
        let tokenizer = tokenizer.with_max_length(max_length).with_context(|| {
            format!("{}: max_position_embeddings of the text encoder", dir.display())
        })?;
        // Both sides of a whole CLIP lie in the same files.
        let mut files = Component::open(dir, Role::TextEncoder)?.files()?;
        files.extend(Component::open(dir, Role::ImageEncoder)?.files()?);
        files.sort_unstable();
        files.dedup();
        let mut hash = Sha256::new();
        for file in files {
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            hash.update(&bytes);
        }
        Ok(Self {
            text,
            image,
            image_size: image_config.image_size,
            tokenizer,
            sha256: hex(&hash.finalize()),
            precision: Precision::inference(Compute::F32),
            device: device.clone(),
        })
    }

    /// What identifies its weights.
    pub(super) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A vector for every image.
    pub(super) fn images(&self, images: &[RgbImage]) -> Result<Features, EvalError> {
        let pixels = images.iter().map(|p| clip_pixels(p, self.image_size, &self.device));
        let pixels = Tensor::cat(pixels.collect(), 0);
        let output = self.precision.scope(|| self.image.forward(pixels));
        features(output.image_embeds.unwrap_or(output.pooled))
    }

    /// A vector for every caption.
    pub(super) fn captions(&self, captions: &[&str]) -> anyhow::Result<Features> {
        let mut all: Option<Features> = None;
        for batch in captions.chunks(BATCH) {
            let ids = batch.iter().map(|caption| Ok(self.tokenizer.encode(caption)?.ids));
            let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
            let ids = pad_token_ids(&ids, Vocabulary::full().end_row(), &self.device);
            let found = features(self.precision.scope(|| self.text.forward(ids)).pooled)?;
            match &mut all {
                Some(all) => all.extend(&found)?,
                None => all = Some(found),
            }
        }
        all.context("no captions")
    }
}

impl ClipScore {
    /// Of as many images as captions.
    pub(super) fn of(images: &Features, captions: &Features) -> Result<Self, EvalError> {
        let pairs = pair_score(images, captions)?;
        let has_candidates = images.len() >= CANDIDATES;
        let r_precision =
            has_candidates.then(|| r_precision(images, captions, CANDIDATES)).transpose()?;
        Ok(Self { own: pairs.own, shuffled: pairs.shuffled, r_precision })
    }
}

fn features(vectors: Tensor<2>) -> Result<Features, EvalError> {
    let [_, width] = vectors.dims();
    Features::new("CLIP's vectors", width, vectors.into_data().iter::<f32>().collect())
}
