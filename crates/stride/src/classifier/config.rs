//! The shape of an attribute classifier, and the attributes it predicts.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{MAX_PARAMETERS, MAX_SIDE, MAX_WIDTH, product};

/// One attribute and its values, in the order of the network's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its name, such as `hair_color`.
    pub name: String,
    /// Its values, such as `black` and `red`; at least two.
    pub values: Vec<String>,
}

/// A classifier's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeClassifierConfig {
    /// Height and width of the images: a multiple of [`Self::downsampling_factor`].
    pub resolution: usize,
    /// Channels of the stages; the first halves the image twice, the others once each. Multiples
    /// of [`Self::GROUPS`].
    #[serde(default = "default_widths")]
    pub widths: Vec<usize>,
    /// Features of an image, in front of the last layer.
    #[serde(default = "default_feature_size")]
    pub feature_size: usize,
    /// The attributes it predicts.
    pub attributes: Vec<Attribute>,
}

fn default_widths() -> Vec<usize> {
    vec![32, 48, 64, 96, 128]
}

fn default_feature_size() -> usize {
    128
}

/// A configuration that describes no classifier.
#[derive(Debug, Error, PartialEq)]
#[error("classifier config: {field}: expected {expected}, found {found}")]
pub struct ClassifierConfigError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl AttributeClassifierConfig {
    /// Groups of the group norms.
    pub const GROUPS: usize = 8;

    /// A classifier of the usual shape.
    pub fn new(resolution: usize, attributes: Vec<Attribute>) -> Self {
        let (widths, feature_size) = (default_widths(), default_feature_size());
        Self { resolution, widths, feature_size, attributes }
    }

    /// Side of the square of pixels that one position of the last stage stands for.
    pub fn downsampling_factor(&self) -> usize {
        4 << self.widths.len().saturating_sub(1).min(usize::BITS as usize / 2)
    }

    /// The number of answers of all attributes together.
    pub fn num_answers(&self) -> usize {
        self.attributes.iter().map(|attribute| attribute.values.len()).sum()
    }

    /// Checks that the numbers describe a classifier.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn validate(&self) -> Result<(), ClassifierConfigError> {
        let check = |holds: bool, field, expected: &str, found: String| {
            let expected = expected.to_owned();
            if holds { Ok(()) } else { Err(ClassifierConfigError { field, expected, found }) }
        };
        let widths = || format!("{:?}", self.widths);
        let is_width = |&width: &usize| width > 0 && width.is_multiple_of(Self::GROUPS);
        let are_widths = self.widths.iter().all(is_width);
        check(are_widths, "widths", "multiples of 8", widths())?;
        check((1..=8).contains(&self.widths.len()), "widths", "1 to 8 stages", widths())?;
        let factor = self.downsampling_factor();
        check(
            self.resolution > 0 && self.resolution.is_multiple_of(factor),
            "resolution",
            &format!("a multiple of {factor}"),
            self.resolution.to_string(),
        )?;
        let fits = self.resolution <= MAX_SIDE;
        check(fits, "resolution", &format!("at most {MAX_SIDE}"), self.resolution.to_string())?;
        let fits = self.widths.iter().all(|&width| width <= MAX_WIDTH);
        check(fits, "widths", &format!("at most {MAX_WIDTH} each"), widths())?;
        let fits = (1..=MAX_WIDTH).contains(&self.feature_size);
        let expected = format!("1 to {MAX_WIDTH}");
        check(fits, "feature_size", &expected, self.feature_size.to_string())?;
        let widest = self.widths.iter().copied().max().unwrap_or_default();
        let side = self.resolution / factor;
        // Two convolutions of 3x3 a stage, and the features of all positions.
        let weights = product(&[self.widths.len(), 18, widest, widest])
            + product(&[side, side, widest, self.feature_size]);
        let expected = format!("at most {MAX_PARAMETERS} weights");
        check(weights <= MAX_PARAMETERS, "widths", &expected, weights.to_string())?;
        check(!self.attributes.is_empty(), "attributes", "at least one", "none".to_owned())?;
        for attribute in &self.attributes {
            let found = format!("{} with {} values", attribute.name, attribute.values.len());
            check(attribute.values.len() >= 2, "attributes", "at least two values each", found)?;
        }
        Ok(())
    }
}
