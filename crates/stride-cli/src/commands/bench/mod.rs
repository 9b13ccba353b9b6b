//! `stride bench`: how fast this machine runs each part of a model.

mod arguments;
mod flops;
mod generation;
mod machine;
mod presets;
mod report;
mod run;
mod stopwatch;
mod subject;
mod training;

pub(crate) use arguments::Bench;
