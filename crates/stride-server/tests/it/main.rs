//! The server as its clients see it, without a network where none is needed.
// Comparisons print how close they came; `cargo test` shows it only on failure or with `--nocapture`.
#![allow(clippy::print_stdout)]

mod access;
mod bodies;
mod client;
mod connections;
mod images;
mod jobs;
mod kept;
