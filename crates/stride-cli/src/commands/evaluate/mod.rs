//! `stride evaluate`: distances between sets of images, with their provenance, and a model's report.

mod arguments;
mod folders;
mod import;
mod job;
mod losses;
mod merge;
mod model;
mod models;
mod networks;
mod progress;

pub(crate) use arguments::Evaluate;
