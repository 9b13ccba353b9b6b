//! Tests of model folders, in one binary (fixtures: `parity/export_components.py`).
// Comparisons print how close they came; `cargo test` shows it only on failure or with `--nocapture`.
#![allow(clippy::print_stdout)]

mod components;
mod dit;
mod expected;
mod full_size;
mod fuzz;
mod images;
mod import;
#[path = "../../../stride-data/tests/it/mutations.rs"]
mod mutations;
mod refusals;
mod tokenizer;
