//! Feature networks: what turns images into the vectors that metrics compare.

use stride::image::RgbImage;

use crate::protocol::Protocol;
use crate::{EvalError, Features};

/// A network whose features are compared.
pub trait FeatureNetwork: Sync {
    /// Its name in reports and provenance.
    fn name(&self) -> String;

    /// SHA-256 of the file of weights.
    fn weights_sha256(&self) -> &str;

    /// Numbers in a feature vector.
    fn width(&self) -> usize;

    /// How images become its input.
    fn input(&self, protocol: Protocol) -> String;

    /// Features and logits of images of one size.
    ///
    /// # Errors
    /// The network's output is not finite, or it does not take images of this size.
    fn features(&self, images: &[RgbImage], protocol: Protocol)
    -> Result<NetworkOutput, EvalError>;
}

/// The output of a feature network for a batch.
#[derive(Clone, Debug)]
pub struct NetworkOutput {
    /// One vector for each image.
    pub features: Features,
    /// Class logits as the Inception score takes them; absent for a network without one set of classes.
    pub logits: Option<Features>,
}
