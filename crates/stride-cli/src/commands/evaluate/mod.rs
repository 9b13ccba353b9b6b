//! `stride evaluate`: distances between sets of images, with a certificate, and a model's report.

mod arguments;
mod attributes;
mod clip_scorer;
mod draw;
mod folders;
mod gallery;
mod import;
mod judged;
mod losses;
mod merge;
mod networks;
mod report;
mod scores;
mod store;
mod study;
mod subjects;

pub(crate) use arguments::Evaluate;
