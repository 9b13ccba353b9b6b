//! Devices by name, and which of them is the CPU that this crate makes fast.

use std::fmt;
use std::str::FromStr;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::adapter::{self, Adapter};
use crate::compute::Compute;

/// A device as flags and configurations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The best GPU that the program can use, and the processor where there is none.
    Auto,
    /// All cores of the processor.
    Cpu,
    /// The best GPU.
    Gpu,
    /// The graphics adapter of this number, whichever kind it is.
    Adapter(usize),
}

/// A device that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The name means nothing.
    #[error(
        "expected auto, cpu, gpu, or gpu:N for the adapter that `stride doctor` lists under N, found {0:?}"
    )]
    Unknown(String),
    /// The program was built without GPUs.
    #[error(
        "{0}: this program was built for the processor alone; build one for GPUs with `cargo build --release \
         --features gpu` (`stride doctor` says more)"
    )]
    NotBuilt(DeviceName),
    /// No adapter at all.
    #[error(
        "{0}: found no GPU; is its driver installed? `stride doctor` says what this program looks for, and \
         `--device cpu` does without"
    )]
    NotFound(DeviceName),
    /// Nothing but drivers that compute on the processor.
    #[error(
        "gpu: found only drivers that imitate a GPU on the processor, slowly; install the driver of the card, or \
         use `--device cpu`, or name such a driver by its number, gpu:0, to test with it"
    )]
    OnlySoftware,
    /// No products in a compute dtype.
    #[error(
        "{device}: no products in {compute} there; expected f32, or bf16 on a processor, or f16 on a GPU that has it"
    )]
    NoProducts {
        /// The device.
        device: DeviceName,
        /// The compute dtype.
        compute: Compute,
    },
    /// No adapter of this number.
    #[error("gpu:{number}: expected a number below {count}, as `stride doctor` lists them")]
    NoSuchAdapter {
        /// The number asked for.
        number: usize,
        /// How many there are.
        count: usize,
    },
}

impl DeviceName {
    /// The library's device.
    ///
    /// # Errors
    /// It is a GPU, and the program was built without, or the machine does not have it.
    pub fn device(self) -> Result<Device, DeviceError> {
        Ok(match self.adapter()? {
            None => Device::flex(),
            Some(adapter) => adapter.device().clone(),
        })
    }

    /// The same for products in a compute dtype.
    ///
    /// # Errors
    /// As [`device`](Self::device); or it does not multiply in that dtype.
    pub fn device_for(self, compute: Compute) -> Result<Device, DeviceError> {
        let device = self.device()?;
        let multiplies = match compute {
            Compute::F32 => true,
            Compute::Bf16 => is_cpu(&device) || device.supports_dtype(DType::BF16),
            Compute::F16 => !is_cpu(&device) && device.supports_dtype(DType::F16),
        };
        if multiplies { Ok(device) } else { Err(DeviceError::NoProducts { device: self, compute }) }
    }

    /// The same device under the name that says which it is: `cpu` or `gpu:N`.
    ///
    /// # Errors
    /// As [`device`](Self::device).
    pub fn resolved(self) -> Result<Self, DeviceError> {
        Ok(self.adapter()?.map_or(Self::Cpu, |adapter| Self::Adapter(adapter.number)))
    }

    /// Whether it is what a configuration without a name means.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The graphics adapter; none for the processor.
    ///
    /// # Errors
    /// As [`device`](Self::device).
    pub fn adapter(self) -> Result<Option<&'static Adapter>, DeviceError> {
        if self == Self::Cpu {
            return Ok(None);
        }
        self.among(adapter::adapters())
    }

    fn among(self, adapters: &[Adapter]) -> Result<Option<&Adapter>, DeviceError> {
        // Adapters are listed best first, imitations last.
        let best = adapters.first().filter(|adapter| !adapter.kind.is_software());
        match self {
            Self::Cpu => Ok(None),
            Self::Auto => Ok(best),
            _ if !adapter::IS_BUILT => Err(DeviceError::NotBuilt(self)),
            _ if adapters.is_empty() => Err(DeviceError::NotFound(self)),
            Self::Gpu => best.map(Some).ok_or(DeviceError::OnlySoftware),
            Self::Adapter(number) => {
                let count = adapters.len();
                let adapter = adapters.get(number);
                adapter.map(Some).ok_or(DeviceError::NoSuchAdapter { number, count })
            }
        }
    }
}

/// `cpu` in a program for the processor alone, `auto` in one for GPUs.
impl Default for DeviceName {
    fn default() -> Self {
        if adapter::IS_BUILT { Self::Auto } else { Self::Cpu }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "auto" => Ok(Self::Auto),
            // What Burn calls its backend for the CPU; runs of earlier versions have it in their files.
            "cpu" | "flex" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => {
                let number = name.strip_prefix("gpu:").and_then(|number| number.parse().ok());
                number.map(Self::Adapter).ok_or_else(|| DeviceError::Unknown(name.to_owned()))
            }
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(name: String) -> Result<Self, DeviceError> {
        name.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu => f.write_str("gpu"),
            Self::Adapter(number) => write!(f, "gpu:{number}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::AdapterKind;

    fn adapters(kinds: &[AdapterKind]) -> Vec<Adapter> {
        let adapter = |(number, &kind)| Adapter::new(number, kind, Device::flex());
        kinds.iter().enumerate().map(adapter).collect()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["auto", "cpu", "gpu", "gpu:0", "gpu:12"] {
            assert_eq!(name.parse::<DeviceName>().expect("a name").to_string(), name);
        }
        assert_eq!("flex".parse(), Ok(DeviceName::Cpu));
        for name in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cuda", "abacus"] {
            let error = name.parse::<DeviceName>().expect_err("no name").to_string();
            assert!(error.contains("auto, cpu, gpu, or gpu:N"), "{error}");
        }
    }

    #[test]
    fn auto_takes_a_gpu_and_no_imitation() {
        let number = |found: Result<Option<&Adapter>, _>| {
            found.expect("always a device").map(|adapter| adapter.number)
        };
        let auto = DeviceName::Auto;
        assert_eq!(number(auto.among(&adapters(&[]))), None);
        assert_eq!(number(auto.among(&adapters(&[AdapterKind::Software]))), None);
        let both = adapters(&[AdapterKind::Integrated, AdapterKind::Software]);
        assert_eq!(number(auto.among(&both)), Some(0));
    }

    #[test]
    fn what_is_missing_is_told_with_a_way_out() {
        let message = |name: DeviceName, kinds: &[AdapterKind]| {
            name.among(&adapters(kinds)).expect_err("not there").to_string()
        };
        if !adapter::IS_BUILT {
            let said = message(DeviceName::Gpu, &[]);
            assert!(said.contains("cargo build --release --features gpu"), "{said}");
            return;
        }
        assert!(message(DeviceName::Gpu, &[]).contains("driver installed?"));
        let only_software = [AdapterKind::Software];
        assert!(message(DeviceName::Gpu, &only_software).contains("gpu:0, to test with it"));
        assert!(message(DeviceName::Adapter(1), &only_software).contains("below 1"));
        let named = DeviceName::Adapter(0).among(&adapters(&only_software)).map(|it| it.is_some());
        assert_eq!(named, Ok(true));
    }
}
