//! Tests of training as a whole, in one binary.
// Comparisons print how close they came; `cargo test` shows it only on failure or with `--nocapture`.
#![allow(clippy::print_stdout)]

mod classifier;
mod dit;
mod dit_init;
mod fuzz;
#[path = "../../../stride-data/tests/it/mutations.rs"]
mod mutations;
mod optimizer;
mod resume;
mod small;
mod text_encoder;
mod toy;
mod vae;
