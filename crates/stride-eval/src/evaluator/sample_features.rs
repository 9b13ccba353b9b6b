//! What is kept of a set of images: features, predictions and digests, and the file that holds them.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use stride::image::RgbImage;
use stride_files::ContentHash;

use crate::images::digest;
use crate::{EvalError, Features};

/// Length of an image's digest.
const DIGEST: usize = ContentHash::LENGTH;
/// The tensor of labels has kept its first name.
const LABELS: &str = "choices";

/// Features, logits, predicted attributes and digests of images, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleFeatures {
    /// Of the feature network.
    pub features: Features,
    /// Absent for a network without one set of classes.
    pub logits: Option<Features>,
    /// CLIP's vectors; absent without CLIP.
    pub clip: Option<Features>,
    /// For every image and attribute of the classifier, the index of the predicted value; empty without a classifier.
    pub labels: Vec<Vec<usize>>,
    digests: Vec<u8>,
}

impl SampleFeatures {
    /// What networks returned for `images`.
    pub fn new(
        features: Features,
        logits: Option<Features>,
        clip: Option<Features>,
        labels: Vec<Vec<usize>>,
        images: &[RgbImage],
    ) -> Self {
        let digests = images.iter().flat_map(digest).collect();
        Self { features, logits, clip, labels, digests }
    }

    /// Joins consecutive stretches of a set.
    ///
    /// # Errors
    /// There is none, one of them failed, or their widths differ.
    pub fn join(
        parts: impl IntoIterator<Item = Result<Self, EvalError>>,
    ) -> Result<Self, EvalError> {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else {
            let what = "a sample set".to_owned();
            return Err(EvalError::TooFew { what, expected: 1, found: 0 });
        };
        parts.try_fold(first?, |mut all, part| {
            all.extend(&part?)?;
            Ok(all)
        })
    }

    /// Adds the images that follow.
    ///
    /// # Errors
    /// The widths differ.
    pub fn extend(&mut self, other: &Self) -> Result<(), EvalError> {
        self.features.extend(&other.features)?;
        for (set, more) in [(&mut self.logits, &other.logits), (&mut self.clip, &other.clip)] {
            if let (Some(set), Some(more)) = (set, more) {
                set.extend(more)?;
            }
        }
        self.labels.extend_from_slice(&other.labels);
        self.digests.extend_from_slice(&other.digests);
        Ok(())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// SHA-256 of the SHA-256s of the images.
    pub fn sha256(&self) -> String {
        ContentHash::of(&self.digests).to_string()
    }

    /// The bytes of a safetensors file.
    ///
    /// # Errors
    /// The format's writer refuses, which names no case of ours.
    pub fn to_bytes(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let named = [
            ("features", Some(&self.features)),
            ("logits", self.logits.as_ref()),
            ("clip", self.clip.as_ref()),
        ];
        let mut tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = named
            .into_iter()
            .filter_map(|(name, set)| {
                let set = set?;
                let bytes = set.rows().flatten().flat_map(|value| value.to_le_bytes()).collect();
                Some((name, Dtype::F32, vec![set.len(), set.width()], bytes))
            })
            .collect();
        let count = self.digests.len() / DIGEST;
        tensors.push(("digests", Dtype::U8, vec![count, DIGEST], self.digests.clone()));
        if let Some(first) = self.labels.first() {
            // An attribute has some tens of values.
            let labels = self.labels.iter().flatten().map(|&label| label as u8).collect();
            tensors.push((LABELS, Dtype::U8, vec![count, first.len()], labels));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        });
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        safetensors::serialize(views, None)
    }

    /// What [`Self::to_bytes`] wrote; nothing where the file is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let file = SafeTensors::deserialize(bytes).ok()?;
        let set = |name: &str| {
            let view = file.tensor(name).ok()?;
            let &[_, width] = view.shape() else { return None };
            let values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Features::new(name, width, values.collect()).ok()
        };
        let labels = file.tensor(LABELS).ok().map(|view| {
            let width = view.shape().get(1).copied().unwrap_or(1).max(1);
            let rows = view.data().chunks_exact(width);
            rows.map(|row| row.iter().map(|&label| usize::from(label)).collect()).collect()
        });
        let samples = Self {
            labels: labels.unwrap_or_default(),
            features: set("features")?,
            logits: set("logits"),
            clip: set("clip"),
            digests: file.tensor("digests").ok()?.data().to_vec(),
        };
        (samples.digests.len() == samples.features.len() * DIGEST).then_some(samples)
    }
}
