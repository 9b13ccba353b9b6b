//! What makes the CPU fast.
//!
//! The only crate of the project with `unsafe` code.

pub mod memory;
pub mod workers;
