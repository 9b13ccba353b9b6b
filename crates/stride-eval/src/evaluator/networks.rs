//! The networks that images go through.

use std::ops::Range;

use stride::image::RgbImage;
use stride_kernels::workers::{Workers, split_evenly};

use super::{ClipScorer, SampleFeatures};
use crate::attribute_classifier::Predictions;
use crate::images::ImageSet;
use crate::network::FeatureNetwork;
use crate::protocol::Protocol;
use crate::{AttributeClassifier, EvalError};

/// Images that a worker passes through a network together.
const BATCH_SIZE: usize = 8;

/// A feature network, and where there are some, an attribute classifier and CLIP.
pub struct FeatureNetworks {
    features: FeatureSource,
    clip: Option<ClipScorer>,
}

enum FeatureSource {
    /// One network for features and attributes.
    Classifier(AttributeClassifier),
    Network {
        network: Box<dyn FeatureNetwork>,
        classifier: Option<AttributeClassifier>,
    },
}

impl FeatureNetworks {
    /// Features and attributes of a classifier.
    pub fn of_classifier(classifier: AttributeClassifier) -> Self {
        Self { features: FeatureSource::Classifier(classifier), clip: None }
    }

    /// Features of a network such as Inception, and attributes of a classifier.
    pub fn new(network: Box<dyn FeatureNetwork>, classifier: Option<AttributeClassifier>) -> Self {
        Self { features: FeatureSource::Network { network, classifier }, clip: None }
    }

    /// The same with CLIP.
    #[must_use]
    pub fn with_clip(self, clip: Option<ClipScorer>) -> Self {
        Self { clip, ..self }
    }

    /// CLIP.
    pub fn clip(&self) -> Option<&ClipScorer> {
        self.clip.as_ref()
    }

    /// The attribute classifier.
    pub fn classifier(&self) -> Option<&AttributeClassifier> {
        match &self.features {
            FeatureSource::Classifier(classifier) => Some(classifier),
            FeatureSource::Network { classifier, .. } => classifier.as_ref(),
        }
    }

    /// The network whose features are compared.
    pub fn feature_network(&self) -> &dyn FeatureNetwork {
        match &self.features {
            FeatureSource::Classifier(classifier) => classifier,
            FeatureSource::Network { network, .. } => &**network,
        }
    }

    /// Features, predictions and digests of a batch.
    ///
    /// # Errors
    /// A network's output is not finite.
    pub fn extract(
        &self,
        images: &[RgbImage],
        protocol: Protocol,
    ) -> Result<SampleFeatures, EvalError> {
        let predictions =
            self.classifier().map(|classifier| classifier.predict(images)).transpose()?;
        let (features, logits, labels) = match (&self.features, predictions) {
            (FeatureSource::Classifier(_), Some(Predictions { features, labels })) => {
                (features, None, labels)
            }
            (_, predictions) => {
                let output = self.feature_network().features(images, protocol)?;
                let labels = predictions.map_or_else(Vec::new, |predictions| predictions.labels);
                (output.features, output.logits, labels)
            }
        };
        let clip = self.clip.as_ref().map(|clip| clip.images(images)).transpose()?;
        Ok(SampleFeatures::new(features, logits, clip, labels, images))
    }

    /// The same for the images of a range of indices, a share of them on each worker.
    ///
    /// `images` returns those of a batch of indices.
    ///
    /// # Errors
    /// The range is empty, an image cannot be made, or a network's output is not finite.
    pub(crate) fn extract_range(
        &self,
        workers: &Workers,
        range: &Range<usize>,
        protocol: Protocol,
        images: impl Fn(&[usize]) -> Result<Vec<RgbImage>, EvalError> + Sync,
    ) -> Result<SampleFeatures, EvalError> {
        let of_share = |share: Range<usize>| {
            let indices: Vec<usize> = share.map(|place| range.start + place).collect();
            let batches =
                indices.chunks(BATCH_SIZE).map(|batch| self.extract(&images(batch)?, protocol));
            SampleFeatures::join(batches)
        };
        let shares = split_evenly(range.len(), workers.count());
        SampleFeatures::join(workers.run(shares, of_share))
    }

    /// The same for a whole set; `observer` gets the number of images of every batch that is done, and may end it.
    ///
    /// # Errors
    /// An image cannot be decoded or has another size than the first, a network's output is not finite, or the observer
    /// returned an error.
    pub fn extract_set(
        &self,
        workers: &Workers,
        set: &ImageSet,
        protocol: Protocol,
        observer: &mut dyn FnMut(usize) -> Result<(), EvalError>,
    ) -> Result<SampleFeatures, EvalError> {
        let mut all: Option<SampleFeatures> = None;
        set.for_each_batch(BATCH_SIZE * workers.count(), protocol.pixels(), |images| {
            let shares = split_evenly(images.len(), workers.count());
            let shares = workers.run(shares, |share| self.extract(&images[share], protocol));
            let batch = SampleFeatures::join(shares)?;
            match &mut all {
                Some(all) => all.extend(&batch)?,
                None => all = Some(batch),
            }
            observer(images.len())
        })?;
        SampleFeatures::join(all.map(Ok))
    }
}
