//! The attribute classifier: what images show, and features to compare them by.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use stride::classifier::{self, AttributeClassifierConfig};
use stride::image::{RgbImage, signed_unit};
use stride_kernels::fused::Precision;
use stride_kernels::gemm::Compute;

use crate::network::{FeatureNetwork, NetworkOutput};
use crate::protocol::Protocol;
use crate::resize::Resize;
use crate::{EvalError, Features};

/// Hexadecimal digits of the weights' hash in a classifier's name.
const HASH_DIGITS: usize = 8;

/// A trained attribute classifier that takes images of any size.
#[derive(Debug)]
pub struct AttributeClassifier {
    model: classifier::AttributeClassifier,
    name: String,
    weights_sha256: String,
    precision: Precision,
    device: Device,
}

/// What a classifier predicts for some images.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// One vector an image.
    pub features: Features,
    /// For every image and attribute, the index of the predicted value.
    pub labels: Vec<Vec<usize>>,
}

impl AttributeClassifier {
    /// Loads the classifier in a folder, or the one inside the program.
    ///
    /// # Errors
    /// There is no such folder, or nothing inside the program; the files are damaged, or do not belong together.
    pub fn load(folder: Option<&Path>, device: &Device) -> Result<Self, EvalError> {
        let (model, weights_sha256) = stride_models::attribute_classifier(folder, device)?;
        let weights_sha256 = weights_sha256.to_string();
        let hash: String = weights_sha256.chars().take(HASH_DIGITS).collect();
        Ok(Self {
            model,
            name: format!("attribute classifier {hash}"),
            weights_sha256,
            precision: Precision::inference(Compute::F32),
            device: device.clone(),
        })
    }

    /// What its features are called: numbers of different classifiers do not compare.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its attributes and sizes.
    pub fn config(&self) -> &AttributeClassifierConfig {
        self.model.config()
    }

    /// Predicts the attributes of images; those of another size than it was trained on are resized (cubic, with
    /// antialias).
    ///
    /// # Errors
    /// A feature is not finite.
    pub fn predict(&self, images: &[RgbImage]) -> Result<Predictions, EvalError> {
        let side = self.config().resolution;
        let mut pixels = Vec::with_capacity(images.len() * 3 * side * side);
        for image in images {
            for channel in 0..3 {
                let plane: Vec<f32> = image.channel(channel).map(signed_unit).collect();
                if (image.height, image.width) == (side, side) {
                    pixels.extend(plane);
                } else {
                    let (height, width) = (image.height, image.width);
                    pixels.extend(Resize::BicubicAntialias.apply(&plane, height, width, side));
                }
            }
        }
        let pixels = TensorData::new(pixels, [images.len(), 3, side, side]);
        let pixels = Tensor::from_data(pixels, &self.device);
        let output = self.precision.scope(|| self.model.forward(pixels));
        let values = output.features.clone().into_data().iter::<f32>().collect();
        Ok(Predictions {
            features: Features::new(&self.name, self.config().feature_size, values)?,
            labels: output.choices(self.config()),
        })
    }
}

impl FeatureNetwork for AttributeClassifier {
    fn name(&self) -> String {
        "attribute classifier".to_owned()
    }

    fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    fn width(&self) -> usize {
        self.config().feature_size
    }

    fn input(&self, _: Protocol) -> String {
        let side = self.config().resolution;
        format!("resize BicubicAntialias to {side} where the size differs")
    }

    fn features(&self, images: &[RgbImage], _: Protocol) -> Result<NetworkOutput, EvalError> {
        Ok(NetworkOutput { features: self.predict(images)?.features, logits: None })
    }
}
