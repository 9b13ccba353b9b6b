//! Tests of `stride` against the Python originals, in one binary.
// Comparisons print how close they came; `cargo test` shows it only on failure or with `--nocapture`.
#![allow(clippy::print_stdout)]

mod clip;
mod dit;
mod pipeline;
mod tokenizer;
mod vae;
