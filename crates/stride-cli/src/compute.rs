//! `--device` and `--dtype`: where networks run and in which precision they multiply.

use std::fmt;

use anyhow::Result;
use burn::tensor::Device;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};
use stride_kernels::device::{DeviceError, DeviceName};
use stride_kernels::gemm::Compute;

/// The two settings, the same in every command that runs a network.
#[derive(Clone, Copy, Debug, Args, Serialize, Deserialize)]
pub(crate) struct ComputeOptions {
    /// Device that the networks run on: auto, cpu, gpu, or gpu:N for the adapter that `stride doctor` lists under N
    #[arg(long, env = "STRIDE_DEVICE", default_value_t, value_parser = present_device)]
    device: DeviceName,
    /// Compute dtype: what matrix products round their inputs to; sums, weights and images stay f32
    #[arg(long, env = "STRIDE_DTYPE", default_value = "f32", value_parser = dtypes())]
    dtype: Compute,
}

impl ComputeOptions {
    /// The device.
    ///
    /// # Errors
    /// It does not multiply in the compute dtype.
    pub(crate) fn device(self) -> Result<Device> {
        Ok(self.device.device_for(self.dtype)?)
    }

    /// What the driver calls the GPU; none for the processor.
    pub(crate) fn gpu_name(self) -> Option<String> {
        let [name, _] = self.device.adapter().ok()??.identity()?;
        Some(name)
    }

    /// The compute dtype.
    pub(crate) fn dtype(self) -> Compute {
        self.dtype
    }
}

impl fmt::Display for ComputeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device, self.dtype)
    }
}

/// A device that this machine has, by the name that says which one it is.
pub(crate) fn present_device(name: &str) -> Result<DeviceName, DeviceError> {
    name.parse::<DeviceName>()?.resolved()
}

/// `--device` as an override of the configuration of a run.
pub(crate) fn device_setting(device: DeviceName) -> String {
    format!("training.device=\"{device}\"")
}

fn dtypes() -> impl TypedValueParser<Value = Compute> {
    stored_names([
        PossibleValue::new("f32").help("32-bit floating point: nothing is rounded"),
        PossibleValue::new("bf16")
            .help("bfloat16: twice as fast where the processor has AVX512-BF16"),
        PossibleValue::new("f16")
            .help("Half precision, for GPUs: faster where they have matrix units"),
    ])
}

/// Reads a value by the name that it has in files.
fn stored_names<T, const N: usize>(values: [PossibleValue; N]) -> impl TypedValueParser<Value = T>
where
    T: for<'de> Deserialize<'de> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(values)
        .try_map(|name: String| T::deserialize(IntoDeserializer::<Error>::into_deserializer(name)))
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
