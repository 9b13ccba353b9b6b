//! The network: image to features and class logits.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use stride::image::RgbImage;
use stride::weights::{self, WeightsError};
use stride_files::ContentHash;
use stride_kernels::fused::{Precision, pool};
use stride_kernels::gemm::Compute;
use stride_kernels::pool::Pooling;

use super::conv::{BatchNorm, Conv};
use super::layout::{self, BranchLayout, ConvLayout, Pool};
use super::weights_file;
use crate::network::{FeatureNetwork, NetworkOutput};
use crate::protocol::{INPUT_SIDE, Protocol};
use crate::{EvalError, Features};

/// Numbers in a feature vector.
const WIDTH: usize = 2048;

/// Which graph the weights belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The network of 2015-12-05: averages leave the padding out, the last block takes maxima, 1008 classes.
    Fid,
    /// Keras': averages leave the padding out, averages in the last block too; no classes are read.
    Keras,
    /// torchvision's: averages count the padding as zeros, everywhere averages, any number of classes.
    Torchvision,
}

impl Variant {
    /// The name on the command line and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fid => "fid",
            Self::Keras => "keras",
            Self::Torchvision => "torchvision",
        }
    }
}

/// Inception-v3 with batch norms folded into its convolutions.
#[derive(Clone, Debug)]
pub struct Inception {
    variant: Variant,
    weights_sha256: String,
    stem: Vec<(Conv, bool)>,
    blocks: Vec<Vec<Branch>>,
    /// `[classes, 2048]`, where the weights have classes.
    classifier: Option<Tensor<2>>,
    device: Device,
    precision: Precision,
}

#[derive(Clone, Debug)]
struct Branch {
    pool: Pool,
    convs: Vec<Conv>,
    split: Vec<Conv>,
}

impl Inception {
    /// Reads a file of weights: safetensors, or PyTorch's own format (`.pth`, `.pt`, `.bin`, `.ckpt`), whose pickles
    /// are not executed.
    ///
    /// # Errors
    /// As for [`Self::load`], and where the file cannot be read.
    pub fn open(path: &Path, variant: Variant, device: &Device) -> Result<Self, EvalError> {
        let (bytes, sha256) = weights_file::read(path)?;
        let network = Self::load(&path.display().to_string(), &bytes, variant, device)?;
        Ok(Self { weights_sha256: sha256, ..network })
    }

    /// Reads weights under the names of pytorch-fid and torchvision (`Mixed_5b.branch1x1.conv.weight`).
    ///
    /// Auxiliary classifiers, the bias of the last layer and counters of batches are left unread.
    ///
    /// # Errors
    /// The file is damaged, a tensor is missing, has another shape, or is not finite.
    pub fn load(
        file: &str,
        bytes: &[u8],
        variant: Variant,
        device: &Device,
    ) -> Result<Self, EvalError> {
        let reader = Reader { file, bytes, device };
        let layouts = layout::convs();
        let mut convs = layouts
            .iter()
            .map(|(name, conv, channels)| reader.conv(name, *conv, *channels))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter();
        let mut take = |count: usize| convs.by_ref().take(count).collect::<Vec<_>>();
        let is_pooled = layout::stem().map(|(_, is_pooled)| is_pooled);
        let stem = take(is_pooled.len()).into_iter().zip(is_pooled).collect();
        let mut branch = |branch: &BranchLayout| Branch {
            pool: branch.pool,
            convs: take(branch.convs.len()),
            split: take(branch.split.len()),
        };
        let blocks = layout::blocks();
        let blocks =
            blocks.iter().map(|block| block.branches.iter().map(&mut branch).collect()).collect();
        let classifier = match variant {
            Variant::Keras => None,
            Variant::Fid | Variant::Torchvision => Some(reader.classifier(variant)?),
        };
        let weights_sha256 = ContentHash::of(bytes).to_string();
        let (device, precision) = (device.clone(), Precision::inference(Compute::F32));
        Ok(Self { variant, weights_sha256, stem, blocks, classifier, device, precision })
    }

    /// `[B, 3, 299, 299]` in [-1, 1] to features `[B, 2048]`.
    ///
    /// # Source
    /// Szegedy et al. 2015 (arXiv 1512.00567); pytorch-fid `inception.py` for the FID variant.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.precision.scope(|| self.pooled(x.permute([0, 2, 3, 1])))
    }

    /// [`Self::forward`] of `[B, 299, 299, 3]`.
    fn pooled(&self, mut x: Tensor<4>) -> Tensor<2> {
        for (conv, is_pooled) in &self.stem {
            x = conv.forward(x);
            if *is_pooled {
                x = halve(x);
            }
        }
        // x is [B, 35, 35, 192].
        for branches in &self.blocks {
            let outputs = branches.iter().map(|branch| branch.forward(x.clone(), self.variant));
            x = Tensor::cat(outputs.collect(), 3);
        }
        let [batch, height, width, channels] = x.dims(); // [B, 8, 8, 2048]
        x.reshape([batch, height * width, channels]).mean_dim(1).reshape([batch, channels])
    }
}

impl FeatureNetwork for Inception {
    fn name(&self) -> String {
        format!("inception-v3 {}", self.variant.name())
    }

    fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn input(&self, protocol: Protocol) -> String {
        format!("resize {:?} to {INPUT_SIDE}", protocol.resize())
    }

    fn features(
        &self,
        images: &[RgbImage],
        protocol: Protocol,
    ) -> Result<NetworkOutput, EvalError> {
        let pooled = self.forward(protocol.input(images, &self.device));
        let values = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect();
        let logits = self.classifier.as_ref().map(|classifier| {
            let logits = pooled.clone().matmul(classifier.clone().transpose());
            let [_, classes] = logits.dims();
            Features::new("Inception's logits", classes, values(logits))
        });
        Ok(NetworkOutput {
            features: Features::new("Inception's features", WIDTH, values(pooled))?,
            logits: logits.transpose()?,
        })
    }
}

impl Branch {
    fn forward(&self, x: Tensor<4>, variant: Variant) -> Tensor<4> {
        let x = match (self.pool, variant) {
            (Pool::None, _) => x,
            (Pool::Halve, _) => halve(x),
            (Pool::AverageOrMax, Variant::Fid) => pool(x, Pooling::Max, 3, 1, 1),
            (_, Variant::Torchvision) => pool(x, Pooling::MeanWithPadding, 3, 1, 1),
            (_, _) => pool(x, Pooling::Mean, 3, 1, 1),
        };
        let x = self.convs.iter().fold(x, |x, conv| conv.forward(x));
        match self.split.as_slice() {
            [] => x,
            ends => Tensor::cat(ends.iter().map(|conv| conv.forward(x.clone())).collect(), 3),
        }
    }
}

/// 3x3 maxima of stride 2 without padding.
fn halve(x: Tensor<4>) -> Tensor<4> {
    pool(x, Pooling::Max, 3, 2, 0)
}

struct Reader<'a> {
    file: &'a str,
    bytes: &'a [u8],
    device: &'a Device,
}

impl Reader<'_> {
    /// The last layer's weights, `[classes, 2048]`.
    fn classifier(&self, variant: Variant) -> Result<Tensor<2>, WeightsError> {
        let weight: Tensor<2> = weights::tensor(self.file, self.bytes, "fc.weight", self.device)?;
        let [classes, width] = weight.dims();
        let expected = if variant == Variant::Fid { 1008 } else { classes };
        if [classes, width] != [expected, WIDTH] {
            return Err(self.shape("fc.weight", vec![expected, WIDTH], vec![classes, width]));
        }
        Ok(weight)
    }

    fn conv(&self, name: &str, conv: ConvLayout, channels: usize) -> Result<Conv, WeightsError> {
        let [height, width] = conv.kernel;
        let key = format!("{name}.conv.weight");
        let kernel: Tensor<4> = weights::tensor(self.file, self.bytes, &key, self.device)?;
        let expected = [conv.out, channels, height, width];
        if kernel.dims() != expected {
            return Err(self.shape(&key, expected.to_vec(), kernel.dims().to_vec()));
        }
        let vector = |end: &str| {
            let key = format!("{name}.bn.{end}");
            let vector: Tensor<1> = weights::tensor(self.file, self.bytes, &key, self.device)?;
            if vector.dims() != [conv.out] {
                return Err(self.shape(&key, vec![conv.out], vector.dims().to_vec()));
            }
            Ok(vector)
        };
        let norm = BatchNorm {
            weight: vector("weight")?,
            bias: vector("bias")?,
            running_mean: vector("running_mean")?,
            running_var: vector("running_var")?,
        };
        let padding = if conv.is_valid { [0, 0] } else { [height / 2, width / 2] };
        Ok(Conv::new(kernel, norm, conv.stride, padding))
    }

    fn shape(&self, tensor: &str, expected: Vec<usize>, found: Vec<usize>) -> WeightsError {
        let (file, tensor) = (self.file.to_owned(), tensor.to_owned());
        WeightsError::Shape { file, tensor, expected, found }
    }
}
