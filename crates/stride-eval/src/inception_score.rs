//! Inception score.

use crate::error::at_least;
use crate::{EvalError, Features};

/// Mean and deviation over splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InceptionScore {
    /// Mean over the splits.
    pub mean: f64,
    /// Standard deviation over the splits (divided by their number, as numpy does).
    pub std: f64,
}

/// exp(E_x KL(p(y|x) || p(y))) from class logits, over consecutive splits.
///
/// # Errors
/// Fewer samples than splits.
///
/// # Source
/// Salimans et al. 2016 (arXiv 1606.03498); torch-fidelity `metric_isc.py` without its shuffle. The logits are
/// those without the bias of the last layer.
pub fn inception_score(logits: &Features, splits: usize) -> Result<InceptionScore, EvalError> {
    at_least("inception score: number of splits", 1, splits)?;
    at_least("inception score", splits, logits.len())?;
    let n = logits.len();
    let scores: Vec<f64> = (0..splits)
        .map(|split| score(logits, split * n / splits..(split + 1) * n / splits))
        .collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok(InceptionScore { mean, std: variance.sqrt() })
}

fn score(logits: &Features, range: std::ops::Range<usize>) -> f64 {
    let count = range.len() as f64;
    let log_p: Vec<Vec<f64>> = range.map(|row| log_softmax(logits.row(row))).collect();
    let mut q = vec![0.0; logits.width()];
    for row in &log_p {
        for (mean, value) in q.iter_mut().zip(row) {
            *mean += value.exp() / count;
        }
    }
    let divergence = |row: &Vec<f64>| {
        // A class of probability zero adds nothing, though its logarithm is infinite.
        let terms = row.iter().zip(&q).filter(|(log, _)| log.exp() > 0.0);
        terms.map(|(log, mean)| log.exp() * (log - mean.ln())).sum::<f64>()
    };
    (log_p.iter().map(divergence).sum::<f64>() / count).exp()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(f64::from(b)));
    let sum: f64 = logits.iter().map(|&v| (f64::from(v) - max).exp()).sum();
    logits.iter().map(|&v| f64::from(v) - max - sum.ln()).collect()
}
