//! `stride generate`: turns a sentence into images.

mod arguments;
mod parameters;
mod progress;
mod run;
mod targets;

pub(crate) use arguments::Generate;
