//! The built program, run on a tiny model with random weights.

mod bench;
#[cfg(feature = "embedded-model")]
mod embedded;
mod generate;
mod inspect;
mod model;
mod program;
mod train;
mod usage;
