//! `--device` and `--dtype`: where networks run and in which precision they multiply.

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use stride_kernels::gemm::Compute;

/// The two settings, the same in every command that runs a network.
#[derive(Clone, Copy, Debug, Args, Serialize, Deserialize)]
pub(crate) struct ComputeOptions {
    /// Device that the networks run on
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
    /// Compute dtype: what matrix products round their inputs to; sums, weights and images stay f32
    #[arg(long, value_enum, default_value_t = DtypeName::F32)]
    pub(crate) dtype: DtypeName,
}

impl ComputeOptions {
    /// The device of this name.
    pub(crate) fn device(self) -> Device {
        match self.device {
            DeviceName::Cpu => Device::flex(),
        }
    }

    /// The compute dtype of this name.
    pub(crate) fn dtype(self) -> Compute {
        match self.dtype {
            DtypeName::F32 => Compute::F32,
            DtypeName::Bf16 => Compute::Bf16,
        }
    }
}

/// A device by name.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeviceName {
    /// The processor, on all its cores
    // Burn's backend for the CPU is called Flex, and so was this device.
    #[value(alias = "flex")]
    #[serde(alias = "flex")]
    Cpu,
}

/// A compute dtype by name.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DtypeName {
    /// 32-bit floating point: nothing is rounded
    F32,
    /// bfloat16: twice as fast where the processor has AVX512-BF16
    Bf16,
}

/// A value as it is typed.
pub(crate) fn typed(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_were_stored_under_the_old_name_are_read() {
        let stored = r#"{"device": "flex", "dtype": "bf16"}"#;
        let read: ComputeOptions = serde_json::from_str(stored).expect("known names");
        let written = serde_json::to_value(read).expect("JSON");
        assert_eq!(written, serde_json::json!({"device": "cpu", "dtype": "bf16"}));
    }
}
