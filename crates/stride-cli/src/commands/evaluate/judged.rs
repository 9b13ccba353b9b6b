//! What networks say about a set of images: all that stays of them.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest as _, Sha256};
use stride::image::RgbImage;
use stride_eval::images::{digest, hex};
use stride_eval::{EvalError, Features};

/// Images that go through a network together.
pub(super) const BATCH: usize = 8;

/// Length of an image's digest.
const DIGEST: usize = 32;

/// Features, logits, attributes and digests of images, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) features: Features,
    /// Absent for a network without one set of classes.
    pub(super) logits: Option<Features>,
    /// CLIP's vectors; absent without CLIP.
    pub(super) clip: Option<Features>,
    /// For every image and attribute of the classifier, the place of the value; empty without a classifier.
    pub(super) choices: Vec<Vec<usize>>,
    digests: Vec<u8>,
}

impl Judged {
    /// What was said about some images.
    pub(super) fn new(
        features: Features,
        logits: Option<Features>,
        clip: Option<Features>,
        choices: Vec<Vec<usize>>,
        images: &[RgbImage],
    ) -> Self {
        let digests = images.iter().flat_map(digest).collect();
        Self { features, logits, clip, choices, digests }
    }

    /// Adds later images.
    pub(super) fn extend(&mut self, other: &Self) -> Result<(), EvalError> {
        self.features.extend(&other.features)?;
        for (set, more) in [(&mut self.logits, &other.logits), (&mut self.clip, &other.clip)] {
            if let (Some(set), Some(more)) = (set, more) {
                set.extend(more)?;
            }
        }
        self.choices.extend_from_slice(&other.choices);
        self.digests.extend_from_slice(&other.digests);
        Ok(())
    }

    /// SHA-256 of the SHA-256s of the images.
    pub(super) fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.digests))
    }

    /// The bytes of a file.
    pub(super) fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
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
        if let Some(first) = self.choices.first() {
            // An attribute has some tens of values.
            let choices = self.choices.iter().flatten().map(|&choice| choice as u8).collect();
            tensors.push(("choices", Dtype::U8, vec![count, first.len()], choices));
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        });
        let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        Ok(safetensors::serialize(views, None)?)
    }

    /// What [`Self::to_bytes`] wrote; nothing where the file is damaged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let file = SafeTensors::deserialize(bytes).ok()?;
        let set = |name: &str| {
            let view = file.tensor(name).ok()?;
            let &[_, width] = view.shape() else { return None };
            let values =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Features::new(name, width, values.collect()).ok()
        };
        let choices = file.tensor("choices").ok().map(|view| {
            let width = view.shape().get(1).copied().unwrap_or(1).max(1);
            let rows = view.data().chunks_exact(width);
            rows.map(|row| row.iter().map(|&choice| usize::from(choice)).collect()).collect()
        });
        let judged = Self {
            choices: choices.unwrap_or_default(),
            features: set("features")?,
            logits: set("logits"),
            clip: set("clip"),
            digests: file.tensor("digests").ok()?.data().to_vec(),
        };
        (judged.digests.len() == judged.features.len() * DIGEST).then_some(judged)
    }
}
