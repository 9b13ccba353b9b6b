//! A wrong operation that the comparison must find: without it, a comparison that compares nothing would pass.

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use stride_kernels::activation::Activation;
use stride_kernels::fused;

use super::comparison::{Outcome, Verdict};
use super::samples::random;

/// What the wrong operation is off by: about a thousandth, as a poor approximation in a driver would be.
const OFF: f64 = 1e-3;

/// The verdict on GELU with a slope that is wrong on the device alone.
///
/// # Errors
/// None; like the other comparisons otherwise.
pub(super) fn check(device: &Device) -> Result<Verdict> {
    let expected = gelu(&Device::flex(), 1.0);
    let found = gelu(device, 1.0 + OFF);
    Ok(Verdict::of("control", &expected, &found))
}

fn gelu(device: &Device, slope: f64) -> Outcome {
    let x: Tensor<1> = random(0, [1000], device);
    Outcome::of("GELU", fused::activate(x * slope, Activation::GeluTanh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_operation_is_found_and_the_right_one_passes() {
        let cpu = Device::flex();
        assert!(!check(&cpu).expect("computed").passed);
        assert!(Verdict::of("right", &gelu(&cpu, 1.0), &gelu(&cpu, 1.0)).passed);
    }
}
