//! What networks say about a set of pictures: all that stays of them.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest as _, Sha256};
use stride::image::RgbImage;
use stride_eval::network::FeatureNetwork;
use stride_eval::pictures::{digest, hex};
use stride_eval::protocol::Protocol;
use stride_eval::{EvalError, Features};

/// Pictures that go through a network together.
pub(super) const BATCH: usize = 8;

/// Length of a picture's digest.
const DIGEST: usize = 32;

/// Features, logits and digests of pictures, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) features: Features,
    /// Absent for a network without one set of classes.
    pub(super) logits: Option<Features>,
    digests: Vec<u8>,
}

impl Judged {
    /// Asks the network about a batch.
    pub(super) fn of(
        network: &dyn FeatureNetwork,
        protocol: Protocol,
        pictures: &[RgbImage],
    ) -> Result<Self, EvalError> {
        let output = network.features(pictures, protocol)?;
        let digests = pictures.iter().flat_map(digest).collect();
        Ok(Self { features: output.features, logits: output.logits, digests })
    }

    /// Adds later pictures.
    pub(super) fn extend(&mut self, other: &Self) -> Result<(), EvalError> {
        self.features.extend(&other.features)?;
        if let (Some(logits), Some(more)) = (&mut self.logits, &other.logits) {
            logits.extend(more)?;
        }
        self.digests.extend_from_slice(&other.digests);
        Ok(())
    }

    /// SHA-256 of the SHA-256s of the pictures.
    pub(super) fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.digests))
    }

    /// The bytes of a file.
    pub(super) fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let named = [("features", Some(&self.features)), ("logits", self.logits.as_ref())];
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
        let judged = Self {
            features: set("features")?,
            logits: set("logits"),
            digests: file.tensor("digests").ok()?.data().to_vec(),
        };
        (judged.digests.len() == judged.features.len() * DIGEST).then_some(judged)
    }
}
