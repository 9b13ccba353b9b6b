//! Parity with the field's packages, and that each metric moves the right way.

// Every comparison prints its largest error.
#![allow(clippy::print_stdout)]

mod conversion;
mod directions;
mod files;
mod formula;
mod inception;
mod judge;
mod metrics;
