//! Scores of images against captions in one embedding space (CLIP score, R-precision).

use crate::error::{at_least, same};
use crate::{EvalError, Features};

/// 100 times the mean cosine of images and captions, with its floor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairScore {
    /// Every image with its own caption.
    pub own: f64,
    /// Every image with the caption of the next one: the floor that a model without text reaches.
    pub shuffled: f64,
}

/// The CLIP score of pairs and its floor; the ceiling is the score of real pairs.
///
/// max(mean 100 cos(e_image, e_text), 0). Both `[N, D]`; the lengths of the vectors do not matter.
///
/// # Errors
/// Other widths or numbers, fewer than 2 pairs.
///
/// # Source
/// Hessel et al. 2021 (arXiv 2104.08718) with the scale of torchmetrics `CLIPScore`.
///
/// # Deviations
/// The paper clamps every pair; torchmetrics and this the mean.
pub fn pair_score(images: &Features, texts: &Features) -> Result<PairScore, EvalError> {
    check(images, texts)?;
    let n = images.len();
    let mean = |shift: usize| {
        let cosines = (0..n).map(|i| cosine(images.row(i), texts.row((i + shift) % n)));
        (100.0 * cosines.sum::<f64>() / n as f64).max(0.0)
    };
    Ok(PairScore { own: mean(0), shuffled: mean(1) })
}

/// Fraction of images whose own caption is the nearest of `candidates` consecutive captions.
///
/// The candidates of image i are the captions i, i + 1, .. (round the end). A tie counts as a miss.
///
/// # Errors
/// Other widths or numbers, or fewer pairs than candidates.
///
/// # Source
/// R-precision with R = 1, Xu et al. 2018 (arXiv 1711.10485), which takes 99 other captions.
pub fn r_precision(
    images: &Features,
    texts: &Features,
    candidates: usize,
) -> Result<f64, EvalError> {
    check(images, texts)?;
    at_least("R-precision: candidates", 2, candidates)?;
    at_least("R-precision", candidates, images.len())?;
    let n = images.len();
    let is_hit = |i: &usize| {
        let score = |k: usize| cosine(images.row(*i), texts.row((i + k) % n));
        let own = score(0);
        (1..candidates).all(|k| score(k) < own)
    };
    Ok((0..n).filter(is_hit).count() as f64 / n as f64)
}

fn check(images: &Features, texts: &Features) -> Result<(), EvalError> {
    same("width of image and text embeddings", images.width(), texts.width())?;
    same("number of captions", images.len(), texts.len())?;
    at_least("score of pairs", 2, images.len())
}

/// The cosine of two vectors; 0 where one is zero.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}
