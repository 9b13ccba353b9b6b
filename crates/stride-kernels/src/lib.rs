//! What makes CPUs fast: kernels that do several of the library's operations in one pass, how
//! freed memory is kept, workers of one core each.
//!
//! Knows nothing of the other crates. The kernels work on slices; [`fused`] offers them as
//! functions of tensors. It is the only crate of the project with unsafe code.

pub mod activation;
pub mod adamw;
pub mod adapter;
pub mod attention;
pub mod average;
mod column_sums;
mod compute;
pub mod convolution;
pub mod device;
pub mod fused;
pub mod gated_residual;
pub mod gemm;
pub mod gradient;
pub mod group_norm;
pub mod isa;
mod lanes;
pub mod memory;
pub mod muon;
pub mod norm_modulate;
mod parallel_init;
pub mod peak;
pub mod pool;
mod samples;
pub mod storage_element;
pub mod swiglu;
mod vectorized;
pub mod workers;
