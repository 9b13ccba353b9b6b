//! FID preprocessing protocols: how images become Inception's input, one for each package whose numbers we match.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use stride::image::{RgbImage, signed_unit};
use stride_data::Pixels;

use crate::frechet::EpsilonRule;
use crate::resize::Resize;

/// Height and width of Inception's input.
pub const INPUT_SIDE: usize = 299;

/// A FID preprocessing protocol: resize, quantisation, scaling and epsilon of one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The reference implementation of shortcut models: bilinear without antialias, 1e-6 on both covariances.
    Reference,
    /// pytorch-fid: 8-bit images, bilinear without antialias, 2 x - 1.
    PytorchFid,
    /// pytorch-fid with the pixels that it takes itself: alpha is dropped, and the orientation passed over.
    PytorchFidStored,
    /// clean-fid: 8-bit images, Pillow's bicubic with antialias in floats, (x - 128) / 128.
    Clean,
    /// torch-fidelity: 8-bit images, bilinear as in TensorFlow 1, (x - 128) / 128.
    TorchFidelity,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [
        Self::Reference,
        Self::PytorchFid,
        Self::PytorchFidStored,
        Self::Clean,
        Self::TorchFidelity,
    ];

    /// The name on the command line and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::PytorchFid => "pytorch-fid",
            Self::PytorchFidStored => "pytorch-fid-stored",
            Self::Clean => "clean",
            Self::TorchFidelity => "torch-fidelity",
        }
    }

    /// Which pixels of a file count: those of training, but for the one protocol that says otherwise.
    pub fn pixels(self) -> Pixels {
        match self {
            Self::PytorchFidStored => Pixels::Stored,
            Self::Reference | Self::PytorchFid | Self::Clean | Self::TorchFidelity => Pixels::Shown,
        }
    }

    /// The resize to 299 pixels.
    pub fn resize(self) -> Resize {
        match self {
            Self::Reference | Self::PytorchFid | Self::PytorchFidStored => Resize::Bilinear,
            Self::Clean => Resize::BicubicAntialias,
            Self::TorchFidelity => Resize::BilinearTf1,
        }
    }

    /// What is added to the covariances.
    pub fn epsilon(self) -> EpsilonRule {
        match self {
            Self::Reference => EpsilonRule::Always(1e-6),
            Self::PytorchFid | Self::PytorchFidStored | Self::Clean | Self::TorchFidelity => {
                EpsilonRule::None
            }
        }
    }

    /// Inception's input for images of any one size, `[B, 3, 299, 299]`.
    ///
    /// # Panics
    /// An image's pixels contradict its sides: [`RgbImage`] of this library never do.
    pub fn input(self, images: &[RgbImage], device: &Device) -> Tensor<4> {
        let values: Vec<f32> =
            images.iter().flat_map(|image| (0..3).flat_map(|c| self.plane(image, c))).collect();
        let shape = [images.len(), 3, INPUT_SIDE, INPUT_SIDE];
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn plane(self, image: &RgbImage, channel: usize) -> Vec<f32> {
        let plane: Vec<f32> = image.channel(channel).map(f32::from).collect();
        let mut values = self.resize().apply(&plane, image.height, image.width, INPUT_SIDE);
        for value in &mut values {
            *value = match self {
                Self::Reference => signed_unit(*value).clamp(-1.0, 1.0),
                Self::PytorchFid | Self::PytorchFidStored => signed_unit(*value),
                Self::Clean => (value.clamp(0.0, 255.0) - 128.0) / 128.0,
                Self::TorchFidelity => (*value - 128.0) / 128.0,
            };
        }
        values
    }
}
