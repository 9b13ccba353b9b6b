//! Parity with the field's packages, and that each metric moves the right way.

// Every comparison prints its largest error.
#![allow(clippy::print_stdout)]

mod attribute_classifier;
mod conversion;
mod directions;
mod evaluator;
mod files;
mod formula;
mod fuzz;
mod inception;
mod metrics;
#[path = "../../../stride-data/tests/it/mutations.rs"]
mod mutations;
mod prompts;
mod report;
