//! The built program, run on a tiny model with random weights.

mod bench;
mod clip;
mod compare;
mod dit_init;
#[cfg(feature = "embedded-model")]
mod embedded;
mod evaluate;
mod generate;
mod import;
mod inspect;
mod model;
mod plot;
mod prepare;
mod program;
mod train;
mod usage;
