//! What follows a product while its result is still in the cache.

use crate::activation::Activation;

/// What is done to a product before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Adds to what C holds, before the activation.
    pub accumulate: bool,
    /// Added to every row, one value a column.
    pub bias: Option<&'a [f32]>,
    /// Applied last, to each element.
    pub activation: Option<Activation>,
}

impl Epilogue<'_> {
    /// Adds the bias from column `col` on to a stretch of a row, and applies the activation.
    pub(super) fn finish(&self, col: usize, stretch: &mut [f32]) {
        if let Some(bias) = self.bias {
            for (value, bias) in stretch.iter_mut().zip(&bias[col..]) {
                *value += bias;
            }
        }
        if let Some(activation) = self.activation {
            for value in stretch {
                *value = activation.apply(*value);
            }
        }
    }
}
