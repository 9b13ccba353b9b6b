//! `--device` and `--dtype`: where networks run and in which precision they multiply.

use std::fmt;

use burn::tensor::Device;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};
use stride_kernels::device::DeviceName;
use stride_kernels::gemm::Compute;

/// The two settings, the same in every command that runs a network.
#[derive(Clone, Copy, Debug, Args, Serialize, Deserialize)]
pub(crate) struct ComputeOptions {
    /// Device that the networks run on
    #[arg(long, env = "STRIDE_DEVICE", default_value = "cpu", value_parser = devices())]
    device: DeviceName,
    /// Compute dtype: what matrix products round their inputs to; sums, weights and images stay f32
    #[arg(long, env = "STRIDE_DTYPE", default_value = "f32", value_parser = dtypes())]
    dtype: Compute,
}

impl ComputeOptions {
    /// The device.
    pub(crate) fn device(self) -> Device {
        self.device.device()
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

fn devices() -> impl TypedValueParser<Value = DeviceName> {
    let cpu = PossibleValue::new("cpu").alias("flex").help("The processor, on all its cores");
    stored_names([cpu])
}

fn dtypes() -> impl TypedValueParser<Value = Compute> {
    stored_names([
        PossibleValue::new("f32").help("32-bit floating point: nothing is rounded"),
        PossibleValue::new("bf16")
            .help("bfloat16: twice as fast where the processor has AVX512-BF16"),
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
