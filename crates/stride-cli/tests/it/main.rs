//! The built program, run on a tiny model with random weights.
// Attacks print what came of them.
#![allow(clippy::print_stdout)]

mod bench;
mod bounded;
mod clip;
mod compare;
mod dit_init;
mod docs;
mod doctor;
#[cfg(feature = "embedded-model")]
mod embedded;
mod evaluate;
mod export;
mod general;
mod generate;
mod hostile_files;
mod hostile_settings;
mod import;
mod inspect;
mod kills;
mod model;
#[path = "../../../stride-data/tests/it/mutations.rs"]
mod mutations;
mod plot;
mod prepare;
mod program;
mod prompts;
#[cfg(feature = "mpi")]
mod ranks;
#[cfg(unix)]
mod serve;
mod sheets;
mod train;
mod usage;
