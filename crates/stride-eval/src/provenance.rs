//! What a number depends on, printed beside it.

use std::fmt;

use serde::{Deserialize, Serialize};
use stride_data::Pixels;

use crate::network::FeatureNetwork;
use crate::protocol::Protocol;

/// The start of the SHA-256 of `pt_inception-2015-12-05-6726825d.pth`, which pytorch-fid and torch-fidelity download.
const FID_SHA256: &str = "6726825d";

/// Everything that decides a Frechet distance, so that two of them can be compared or must not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Resize, quantisation, scaling, epsilon.
    pub protocol: Protocol,
    /// The feature network's name.
    pub network: String,
    /// Which pixels of the files count; empty in reports of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pixels: String,
    /// How images became its input.
    pub input: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Numbers in a feature vector.
    pub width: usize,
    /// Images that are scored.
    pub samples: usize,
    /// SHA-256 of the SHA-256s of their pixels in order.
    pub samples_sha256: String,
    /// Images they are compared with; absent for statistics of another program.
    pub references: Option<usize>,
    /// The same of these, or SHA-256 of the file of statistics.
    pub references_sha256: String,
    /// How a model generated the samples; absent for images from elsewhere.
    #[serde(rename = "drawing")]
    pub generation: Option<Generation>,
}

/// Images on one side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Their number; absent for statistics of another program.
    pub count: Option<usize>,
    /// What identifies them.
    pub sha256: String,
}

/// What decides how often images show what prompts ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// SHA-256 of the classifier's weights.
    pub classifier_sha256: String,
    /// Images that are judged.
    pub samples: usize,
    /// SHA-256 of the SHA-256s of their pixels in order.
    pub samples_sha256: String,
    /// How a model generated them.
    #[serde(rename = "drawing")]
    pub generation: Generation,
}

/// How a model generated images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// The start of the hash of the model's weights.
    pub model: String,
    /// Steps from noise to image.
    pub steps: usize,
    /// Seed of the first image; the others follow.
    pub seed: u64,
    /// Guidance scale; 1 disables guidance.
    pub cfg_scale: f64,
    /// Fingerprint of the data whose captions were used, or of the prompts.
    pub data: String,
}

impl Provenance {
    /// What numbers of these sets depend on.
    pub fn new(
        network: &dyn FeatureNetwork,
        protocol: Protocol,
        [samples, references]: [Set; 2],
        generation: Option<Generation>,
    ) -> Self {
        Self {
            protocol,
            network: network.name(),
            pixels: match protocol.pixels() {
                Pixels::Shown => "alpha over white, turned as EXIF says".to_owned(),
                Pixels::Stored => "alpha dropped, not turned".to_owned(),
            },
            input: network.input(protocol),
            weights_sha256: network.weights_sha256().to_owned(),
            width: network.width(),
            samples: samples.count.unwrap_or(0),
            samples_sha256: samples.sha256,
            references: references.count,
            references_sha256: references.sha256,
            generation,
        }
    }

    /// What the distance is called: FID for the network that FID is defined with, and the features' name otherwise.
    ///
    /// That network is known by its file alone: PyTorch's port of it is published under a name with the first digits
    /// of the file's SHA-256. The same weights in another file cannot show that they are these.
    pub fn distance_name(&self) -> String {
        let is_fid =
            self.network == "inception-v3 fid" && self.weights_sha256.starts_with(FID_SHA256);
        if is_fid {
            "FID".to_owned()
        } else {
            format!("Frechet distance ({})", self.features_name())
        }
    }

    /// Network and weights, short.
    pub fn features_name(&self) -> String {
        let digits = self.weights_sha256.get(..10).unwrap_or(&self.weights_sha256);
        format!("{}, weights {digits}", self.network)
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

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let references = self.references.map_or("statistics".to_owned(), |n| format!("{n} images"));
        let pixels =
            if self.pixels.is_empty() { String::new() } else { format!("{}; ", self.pixels) };
        write!(
            f,
            "protocol {} ({pixels}{}), {} with weights {}, {} samples {}, against {references} {}",
            self.protocol.name(),
            self.input,
            self.network,
            self.weights_sha256,
            self.samples,
            self.samples_sha256,
            self.references_sha256
        )?;
        match &self.generation {
            None => Ok(()),
            Some(generation) => write!(f, ", {generation}, captions of data {}", generation.data),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { classifier_sha256, samples, samples_sha256, generation } = self;
        write!(
            f,
            "judged by the attribute classifier with weights {classifier_sha256}, {samples} samples {samples_sha256}, \
             {generation}, prompts {}",
            generation.data
        )
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, steps, seed, cfg_scale, .. } = self;
        write!(
            f,
            "generated by model {model} in {steps} steps, seeds from {seed}, guidance {cfg_scale}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance(network: &str, weights_sha256: &str) -> Provenance {
        Provenance {
            protocol: Protocol::PytorchFid,
            network: network.to_owned(),
            pixels: String::new(),
            input: String::new(),
            weights_sha256: weights_sha256.to_owned(),
            width: 2048,
            samples: 2048,
            samples_sha256: String::new(),
            references: Some(5000),
            references_sha256: String::new(),
            generation: None,
        }
    }

    #[test]
    fn only_the_published_weights_in_their_own_graph_are_called_fid() {
        let name = |network, weights| provenance(network, weights).distance_name();
        assert_eq!(name("inception-v3 fid", "6726825d0af5f729"), "FID");
        let other = "Frechet distance (inception-v3 keras, weights 6726825d0a)";
        assert_eq!(name("inception-v3 keras", "6726825d0af5f729"), other);
        assert!(name("inception-v3 fid", "0000825d0af5").starts_with("Frechet distance"));
    }

    #[test]
    fn as_many_samples_as_dimensions_are_flagged() {
        let mut own = provenance("inception-v3 fid", "");
        assert!(own.flag().is_some_and(|text| text.contains("use at least 2049")));
        own.samples = 2049;
        assert_eq!(own.flag(), None);
    }
}
