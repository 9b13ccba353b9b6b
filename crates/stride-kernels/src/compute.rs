//! The compute dtype of products, and rounding to bfloat16 where the processor does not do it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The compute dtype: what the factors of a product are rounded to; sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// Factors are taken as they are.
    #[default]
    F32,
    /// Factors are rounded to bfloat16, to the nearest, ties to even. Twice as fast where the
    /// processor multiplies pairs of bfloat16; it then takes subnormal factors and products as 0.
    Bf16,
    /// Factors are rounded to half precision, for GPUs whose matrix units multiply it. The kernels of the processor
    /// take them as they are.
    F16,
}

impl Compute {
    /// `f32`, `bf16` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Rounds to the nearest bfloat16, ties to even; the result is the same number as f32.
#[inline(always)]
pub(crate) fn round_to_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    // Carries could turn a NaN into a number; the highest bit of its fraction alone keeps it one.
    let rounded = if x.is_nan() { bits | 0x40_0000 } else { bits + 0x7fff + (bits >> 16 & 1) };
    f32::from_bits(rounded & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        // A bfloat16 has 8 significant bits: at 256 the step is 2.
        for (x, rounded) in [
            (256.0, 256.0),
            (257.0, 256.0),
            (257.1, 258.0),
            (259.0, 260.0),
            (-257.1, -258.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(round_to_bf16(x), rounded);
        }
        assert!(round_to_bf16(f32::NAN).is_nan());
    }
}
