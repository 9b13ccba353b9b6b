//! CLIP, whose vectors of images and captions lie in one space.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::Serialize;
use stride::clip::{ClipTextModel, ClipVisionModel, clip_pixels};
use stride::image::RgbImage;
use stride::tokenizer::{ClipTokenizer, VOCABULARY_SIZE, Vocabulary, pad_token_ids};
use stride_files::ContentHash;
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;
use stride_models::{Component, Role};

use crate::embedding_score::{pair_score, r_precision};
use crate::{EvalError, Features};

/// Captions among which an image's own must be the nearest.
const CANDIDATES: usize = 100;
/// Captions that are encoded together.
const BATCH: usize = 32;

/// The text and the image encoder of a CLIP.
pub struct ClipScorer {
    text: ClipTextModel,
    image: ClipVisionModel,
    image_size: usize,
    /// Numbers in a vector.
    width: usize,
    tokenizer: ClipTokenizer,
    /// SHA-256 of the files of both encoders.
    sha256: String,
    precision: Precision,
    device: Device,
}

/// How well images go with captions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClipScore {
    /// 100 times the mean cosine of every image with its own caption.
    pub own: f64,
    /// The same with the caption of the next image: what a model without captions reaches.
    pub shuffled: f64,
    /// Fraction of the images whose own caption is the nearest of 100; absent for fewer.
    pub r_precision: Option<f64>,
}

impl ClipScorer {
    /// Loads both encoders from the folder of a whole CLIP.
    ///
    /// # Errors
    /// A file is missing or damaged, or the encoders do not belong together.
    pub fn load(dir: &Path, device: &Device) -> Result<Self, EvalError> {
        let problem =
            |problem: String| EvalError::Format { path: dir.display().to_string(), problem };
        let (text_config, text) = stride_models::clip_text_encoder(dir, device)?;
        let (image_config, image) = stride_models::image_encoder(dir, device)?;
        let found = [
            text_config.has_projection().then_some(text_config.pooled_size()),
            image_config.projection_dim.filter(|_| image_config.has_projection()),
        ];
        let width = match found {
            [Some(text), Some(image)] if text == image => text,
            _ => {
                return Err(problem(format!(
                    "expected a CLIPModel, which projects text and images to vectors of one width; found widths \
                     {found:?}"
                )));
            }
        };
        let tokenizer = ClipTokenizer::new()?;
        if text_config.vocab_size != VOCABULARY_SIZE {
            return Err(problem(format!(
                "expected CLIP's vocabulary of {VOCABULARY_SIZE} tokens, found {}",
                text_config.vocab_size
            )));
        }
        // An encoder with fewer positions gets shorter captions.
        let max_length = tokenizer.max_length().min(text_config.max_position_embeddings);
        let tokenizer = tokenizer.with_max_length(max_length).map_err(|error| {
            problem(format!("max_position_embeddings of the text encoder: {error}"))
        })?;
        // Both encoders of a whole CLIP lie in the same files.
        let mut files = Component::open(dir, Role::TextEncoder)?.files()?;
        files.extend(Component::open(dir, Role::ImageEncoder)?.files()?);
        files.sort_unstable();
        files.dedup();
        Ok(Self {
            text,
            image,
            image_size: image_config.image_size,
            width,
            tokenizer,
            sha256: ContentHash::of_files(&files)?.to_string(),
            precision: Precision::inference(Compute::F32),
            device: device.clone(),
        })
    }

    /// What identifies its weights.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A vector for every image.
    ///
    /// # Errors
    /// A value is not finite.
    pub fn images(&self, images: &[RgbImage]) -> Result<Features, EvalError> {
        let pixels = images.iter().map(|p| clip_pixels(p, self.image_size, &self.device));
        let pixels = Tensor::cat(pixels.collect(), 0);
        let output = self.precision.scope(|| self.image.forward(pixels));
        features(output.image_embeds.unwrap_or(output.pooled))
    }

    /// A vector for every caption.
    ///
    /// # Errors
    /// A caption has too many tokens, or a value is not finite.
    pub fn captions(&self, captions: &[&str]) -> Result<Features, EvalError> {
        let mut all = Features::empty(self.width);
        for batch in captions.chunks(BATCH) {
            let ids = batch.iter().map(|caption| Ok(self.tokenizer.encode(caption)?.ids));
            let ids = ids.collect::<Result<Vec<_>, EvalError>>()?;
            let ids = pad_token_ids(&ids, Vocabulary::full().end_row(), &self.device);
            all.extend(&features(self.precision.scope(|| self.text.forward(ids)).pooled)?)?;
        }
        Ok(all)
    }
}

impl ClipScore {
    /// The scores of as many images as captions.
    ///
    /// # Errors
    /// Other widths or numbers, or fewer than two pairs.
    pub fn of(images: &Features, captions: &Features) -> Result<Self, EvalError> {
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
