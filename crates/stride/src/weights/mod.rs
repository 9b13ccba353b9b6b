//! Weights between modules and safetensors files in PyTorch's layout.
//!
//! A parameter is named by its path through the module's fields. Linear weights are `[in, out]`
//! in memory and `[out, in]` in files; norms call their parameters `gamma` and `beta` in memory
//! and `weight` and `bias` in files.

mod error;
mod load;
mod names;
mod save;
mod source;

pub use error::WeightsError;
pub use load::{LoadReport, load, load_from, load_shared, tensor};
pub use save::{StoredDtype, save};
pub use source::{Renamed, SafetensorsBytes, TensorLayout, TensorSource};
