//! What a comparison found, for people and programs.

use serde::Serialize;
use stride_eval::EvalError;
use stride_eval::attribute_accuracy::AttributeAccuracy;
use stride_eval::certificate::{Certificate, Set};
use stride_eval::frechet::{bootstrap_interval, frechet_distance};
use stride_eval::inception_score::inception_score;
use stride_eval::kid::kernel_distance;
use stride_eval::memorisation::{Nearest, nearest};
use stride_eval::prdc::prdc;
use stride_eval::statistics::Gaussian;

use super::arguments::Job;
use super::clip_scorer::ClipScore;
use super::judged::Judged;

/// The conventions of torch-fidelity.
const KID_SUBSETS: usize = 100;
const KID_SUBSET_SIZE: usize = 1000;
const SPLITS: usize = 10;
const NEIGHBOURS: usize = 3;

/// The numbers of one set of images.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Scores {
    /// What the distance may be called.
    pub(super) distance_name: String,
    pub(super) distance: f64,
    pub(super) distance_interval_95: Option<[f64; 2]>,
    /// Where the distance is not to be trusted.
    pub(super) flag: Option<String>,
    /// Mean and deviation over subsets.
    pub(super) kernel_distance: Option<[f64; 2]>,
    pub(super) kernel_distance_subset_size: Option<usize>,
    pub(super) inception_score: Option<[f64; 2]>,
    pub(super) precision: Option<f64>,
    pub(super) recall: Option<f64>,
    pub(super) density: Option<f64>,
    pub(super) coverage: Option<f64>,
    /// Mean distance to the nearest reference image; copies come near 0.
    pub(super) nearest: Option<f64>,
    /// How often images show what their captions name, for images that a model drew.
    pub(super) attributes: Option<AttributeAccuracy>,
    /// How well images go with their captions, by CLIP.
    pub(super) clip: Option<ClipScore>,
    pub(super) certificate: Certificate,
}

/// What images are compared with.
pub(super) struct Reference {
    pub(super) gaussian: Gaussian,
    /// Absent for statistics from a file.
    pub(super) judged: Option<Judged>,
    pub(super) sha256: String,
}

impl Reference {
    /// How a certificate names it.
    pub(super) fn set(&self) -> Set {
        Set { count: self.gaussian.count, sha256: self.sha256.clone() }
    }
}

impl Scores {
    /// All numbers that the sets are large enough for.
    pub(super) fn of(
        samples: &Judged,
        reference: &Reference,
        certificate: Certificate,
        job: &Job,
    ) -> Result<Self, EvalError> {
        let rule = certificate.protocol.epsilon();
        let gaussian = Gaussian::of(&samples.features)?;
        let distance = frechet_distance(&gaussian, &reference.gaussian, rule)?;
        let interval = match job.bootstrap {
            0 => None,
            draws => Some(bootstrap_interval(
                &samples.features,
                &reference.gaussian,
                rule,
                draws,
                job.seed,
            )?),
        };
        let mut scores = Self {
            distance_name: certificate.distance_name(),
            distance,
            distance_interval_95: interval,
            flag: certificate.flag(),
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
            certificate,
        };
        if let Some(logits) = samples.logits.as_ref().filter(|logits| logits.len() >= SPLITS) {
            let score = inception_score(logits, SPLITS)?;
            scores.inception_score = Some([score.mean, score.std]);
        }
        if let Some(real) = reference.judged.as_ref().map(|judged| &judged.features) {
            let least = real.len().min(samples.features.len());
            // A subset as large as the set would have no error bar.
            let size = KID_SUBSET_SIZE.min(least / 2).max(2);
            let kernel = kernel_distance(&samples.features, real, KID_SUBSETS, size, job.seed)?;
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
    pub(super) fn lines(&self) -> Vec<(String, String)> {
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

    /// Steps that drew the images; absent for images from elsewhere.
    pub(super) fn steps(&self) -> Option<usize> {
        self.certificate.drawing.as_ref().map(|drawing| drawing.steps)
    }
}

/// The mean over images.
pub(super) fn mean_distance(nearest: &[Nearest]) -> f64 {
    nearest.iter().map(|nearest| nearest.distance).sum::<f64>() / nearest.len() as f64
}
