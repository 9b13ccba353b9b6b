//! Devices by name, and which of them is the CPU that this crate makes fast.

use std::fmt;

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// A device as flags and configurations name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceName {
    /// All cores of the processor.
    // Burn's backend for the CPU is called Flex, and so was this device.
    #[default]
    #[serde(alias = "flex")]
    Cpu,
}

impl DeviceName {
    /// The library's device.
    pub fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
        }
    }

    /// Whether it is what a configuration without a name means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
        }
    }
}

/// Whether a device is the CPU, with or without automatic differentiation.
pub fn is_cpu(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
        #[allow(unreachable_patterns, reason = "other devices come with features")]
        _ => false,
    }
}
