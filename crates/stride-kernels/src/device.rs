//! Which device is the CPU that this crate makes fast.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Whether a device is the CPU, with or without automatic differentiation.
pub fn is_cpu(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
        #[allow(unreachable_patterns, reason = "other devices come with features")]
        _ => false,
    }
}
