//! What a comparison found, for people and programs.

use std::path::Path;

use serde::Serialize;
use stride_files::ContentHash;

use super::{ClipScore, SampleFeatures};
use crate::EvalError;
use crate::attribute_accuracy::AttributeAccuracy;
use crate::frechet::{bootstrap_interval, frechet_distance};
use crate::inception_score::inception_score;
use crate::kid::kernel_distance;
use crate::memorisation::{Nearest, nearest};
use crate::npz::read_statistics;
use crate::prdc::prdc;
use crate::provenance::{Provenance, Set};
use crate::statistics::Gaussian;

/// The conventions of torch-fidelity.
const KID_SUBSETS: usize = 100;
const KID_SUBSET_SIZE: usize = 1000;
const SPLITS: usize = 10;
const NEIGHBOURS: usize = 3;

/// The numbers of one set of images.
#[derive(Clone, Debug, Serialize)]
pub struct Scores {
    /// What the distance may be called.
    pub distance_name: String,
    /// Frechet distance from the reference.
    pub distance: f64,
    /// Its interval by bootstrap.
    pub distance_interval_95: Option<[f64; 2]>,
    /// Where the distance is not to be trusted.
    pub flag: Option<String>,
    /// Mean and deviation over subsets.
    pub kernel_distance: Option<[f64; 2]>,
    /// Images in a subset of the kernel distance.
    pub kernel_distance_subset_size: Option<usize>,
    /// Mean and deviation over splits.
    pub inception_score: Option<[f64; 2]>,
    /// Fraction of the samples among real images.
    pub precision: Option<f64>,
    /// Fraction of the real images among samples.
    pub recall: Option<f64>,
    /// Real images around a sample, over the expected number.
    pub density: Option<f64>,
    /// Fraction of the real images with a sample near.
    pub coverage: Option<f64>,
    /// Mean distance to the nearest reference image; copies come near 0.
    pub nearest: Option<f64>,
    /// Attribute accuracy, for images that a model generated from captions.
    pub attributes: Option<AttributeAccuracy>,
    /// CLIP score, for images with captions.
    pub clip: Option<ClipScore>,
    /// What the numbers depend on.
    #[serde(rename = "certificate")]
    pub provenance: Provenance,
}

/// What images are compared with.
pub struct Reference {
    /// Mean and covariance of its features.
    pub gaussian: Gaussian,
    /// Absent for statistics from a file.
    pub samples: Option<SampleFeatures>,
    /// What identifies it.
    pub sha256: String,
}

impl Reference {
    /// Images as a reference.
    ///
    /// # Errors
    /// Fewer than two images.
    pub fn of_samples(samples: SampleFeatures) -> Result<Self, EvalError> {
        let gaussian = Gaussian::of(&samples.features)?;
        Ok(Self { gaussian, sha256: samples.sha256(), samples: Some(samples) })
    }

    /// Statistics from an `.npz` file, for features of a width.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or has another width.
    pub fn of_statistics(path: &Path, width: usize) -> Result<Self, EvalError> {
        let gaussian = read_statistics(path, Some(width))?;
        Ok(Self { gaussian, samples: None, sha256: ContentHash::of_files(&[path])?.to_string() })
    }

    /// How provenance names it.
    pub fn set(&self) -> Set {
        Set { count: self.gaussian.count, sha256: self.sha256.clone() }
    }
}

impl Scores {
    /// All numbers that the sets are large enough for; `bootstrap` is the number of draws for the interval, 0 for none.
    ///
    /// # Errors
    /// The widths differ, or a set has fewer than two images.
    pub fn of(
        samples: &SampleFeatures,
        reference: &Reference,
        provenance: Provenance,
        bootstrap: usize,
        seed: u64,
    ) -> Result<Self, EvalError> {
        let rule = provenance.protocol.epsilon();
        let gaussian = Gaussian::of(&samples.features)?;
        let distance = frechet_distance(&gaussian, &reference.gaussian, rule)?;
        let interval = match bootstrap {
            0 => None,
            draws => {
                Some(bootstrap_interval(&samples.features, &reference.gaussian, rule, draws, seed)?)
            }
        };
        let mut scores = Self {
            distance_name: provenance.distance_name(),
            distance,
            distance_interval_95: interval,
            flag: provenance.flag(),
            kernel_distance: None,
            kernel_distance_subset_size: None,
            inception_score: None,
            precision: None,
            recall: None,
            density: None,
            coverage: None,
            nearest: None,
            attributes: None,
            clip: None,
            provenance,
        };
        if let Some(logits) = samples.logits.as_ref().filter(|logits| logits.len() >= SPLITS) {
            let score = inception_score(logits, SPLITS)?;
            scores.inception_score = Some([score.mean, score.std]);
        }
        if let Some(real) = reference.samples.as_ref().map(|real| &real.features) {
            let least = real.len().min(samples.features.len());
            // A subset as large as the set would have no error bar.
            let size = KID_SUBSET_SIZE.min(least / 2).max(2);
            let kernel = kernel_distance(&samples.features, real, KID_SUBSETS, size, seed)?;
            scores.kernel_distance = Some([kernel.mean, kernel.std]);
            scores.kernel_distance_subset_size = Some(size);
            if least > NEIGHBOURS {
                let overlap = prdc(&samples.features, real, NEIGHBOURS)?;
                scores.precision = Some(overlap.precision);
                scores.recall = Some(overlap.recall);
                scores.density = Some(overlap.density);
                scores.coverage = Some(overlap.coverage);
            }
            scores.nearest = Some(mean_distance(&nearest(&samples.features, real)?));
        }
        Ok(scores)
    }

    /// Name and value of every number there is.
    pub fn lines(&self) -> Vec<(String, String)> {
        let pair = |[mean, std]: [f64; 2], digits| format!("{mean:.digits$} ± {std:.digits$}");
        let mut lines = vec![(self.distance_name.clone(), format!("{:.4}", self.distance))];
        let mut push = |name: &str, value: Option<String>| {
            lines.extend(value.map(|value| (name.to_owned(), value)));
        };
        push(
            "its 95% interval",
            self.distance_interval_95.map(|[low, high]| format!("{low:.4} to {high:.4}")),
        );
        push("kernel distance", self.kernel_distance.map(|value| pair(value, 6)));
        push("inception score", self.inception_score.map(|value| pair(value, 4)));
        for (name, value) in [
            ("precision", self.precision),
            ("recall", self.recall),
            ("density", self.density),
            ("coverage", self.coverage),
            ("distance to the nearest reference image", self.nearest),
        ] {
            push(name, value.map(|value| format!("{value:.4}")));
        }
        lines
    }

    /// Steps from noise to image; absent for images that no model generated.
    pub fn steps(&self) -> Option<usize> {
        self.provenance.generation.as_ref().map(|generation| generation.steps)
    }
}

/// The mean over images.
pub(super) fn mean_distance(nearest: &[Nearest]) -> f64 {
    nearest.iter().map(|nearest| nearest.distance).sum::<f64>() / nearest.len() as f64
}
