//! What a number depends on, printed beside it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::inception::Variant;
use crate::protocol::Protocol;

/// Everything that decides a Frechet distance, so that two of them can be compared or must not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Resize, quantisation, scaling, epsilon.
    pub protocol: Protocol,
    /// The feature network.
    pub network: Variant,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Numbers in a feature vector.
    pub width: usize,
    /// Pictures that are judged.
    pub samples: usize,
    /// SHA-256 of their pixels in order.
    pub samples_sha256: String,
    /// Pictures they are compared with; absent for statistics of another program.
    pub references: Option<usize>,
    /// SHA-256 of their pixels in order, or of the file of statistics.
    pub references_sha256: String,
    /// How a model drew the samples; absent for pictures from elsewhere.
    pub drawing: Option<Drawing>,
}

/// How a model drew pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// The start of the hash of the model's weights.
    pub model: String,
    /// Steps from noise to picture.
    pub steps: usize,
    /// Seed of the first picture; the others follow.
    pub seed: u64,
    /// Strength of guidance; 1 is none.
    pub cfg_scale: f64,
    /// Fingerprint of the data whose captions were drawn.
    pub data: String,
}

impl Certificate {
    /// What the distance is called. `FID` belongs to one set of weights alone, whose published hash
    /// is that of a PyTorch archive; weights read from safetensors cannot show that they are these.
    pub fn distance_name(&self) -> String {
        let digits = self.weights_sha256.get(..10).unwrap_or(&self.weights_sha256);
        format!("Frechet distance (inception-v3 {}, weights {digits})", self.network.name())
    }

    /// A warning where the covariance is singular.
    pub fn flag(&self) -> Option<String> {
        let least = self.references.map_or(self.samples, |count| count.min(self.samples));
        crate::frechet::is_rank_deficient(self.width, least).then(|| {
            format!(
                "{least} samples for features of width {}: the covariance is singular and the distance \
                 biased upwards; use at least {}",
                self.width,
                self.width + 1
            )
        })
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let references =
            self.references.map_or("statistics".to_owned(), |n| format!("{n} pictures"));
        write!(
            f,
            "protocol {} (resize {:?} to 299), inception-v3 {} with weights {}, {} samples {}, against {references} {}",
            self.protocol.name(),
            self.protocol.resize(),
            self.network.name(),
            self.weights_sha256,
            self.samples,
            self.samples_sha256,
            self.references_sha256
        )?;
        match &self.drawing {
            None => Ok(()),
            Some(Drawing { model, steps, seed, cfg_scale, data }) => write!(
                f,
                ", drawn by model {model} in {steps} steps, seeds from {seed}, guidance {cfg_scale}, captions of data {data}"
            ),
        }
    }
}
