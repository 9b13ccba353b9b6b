//! The built program, run on a tiny model with random weights.

mod bench;
mod compare;
#[cfg(feature = "embedded-model")]
mod embedded;
mod evaluate;
mod generate;
mod inspect;
mod model;
mod prepare;
mod program;
mod train;
mod usage;
