//! What an evaluation is made of: settings, models and data.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stride_data::ImageFolder;

use crate::EvalError;
use crate::generator::Generator;
use crate::protocol::Protocol;

/// What decides the numbers besides models, data and networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Step counts, each from the same noises and captions.
    pub steps: Vec<usize>,
    /// Images for each step count, one for each caption of the data from the first on; for prompts, all of theirs.
    pub samples: usize,
    /// Seed of the first image; image k has the seed k higher.
    pub seed: u64,
    /// Guidance scale; the model's where absent.
    pub cfg_scale: Option<f64>,
    /// FID preprocessing protocol.
    pub protocol: Protocol,
    /// Draws for the 95% interval of the distance; 0 for none.
    pub bootstrap: usize,
}

/// A model, or a checkpoint of its training.
pub struct EvaluatedModel {
    /// Generates its images.
    pub generator: Box<dyn Generator + Send>,
    /// The start of the SHA-256 of its weights.
    pub hash: String,
    /// Training steps of a checkpoint; absent for the model itself.
    pub training_step: Option<u64>,
}

/// Captioned images to compare with.
#[derive(Clone, Debug)]
pub struct DataSplit {
    /// The name of its sample sets: `data` or `heldout`.
    pub label: String,
    /// Name of its folder, without the path to it, which means nothing to readers of a report.
    pub name: String,
    /// The images.
    pub folder: ImageFolder,
    /// Content hash of the listing.
    pub fingerprint: String,
}

impl DataSplit {
    /// The first images of a folder, at most `samples`.
    ///
    /// # Errors
    /// The listing cannot be read, or an image is missing.
    pub fn open(label: &str, path: &Path, samples: usize) -> Result<Self, EvalError> {
        let folder = ImageFolder::open(path, Some(samples))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fingerprint = folder.content_hash()?.to_string();
        Ok(Self { label: label.to_owned(), name, folder, fingerprint })
    }

    /// The first caption of an image.
    pub fn caption(&self, index: usize) -> &str {
        &self.folder.images[index].captions[0]
    }
}
