//! Parity with the field's packages, and that each metric moves the right way.

// Every comparison prints its largest error.
#![allow(clippy::print_stdout)]

mod attribute_classifier;
mod conversion;
mod directions;
mod evaluator;
mod files;
mod formula;
mod inception;
mod metrics;
mod report;
