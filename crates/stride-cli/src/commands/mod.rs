//! The subcommands.

mod bench;
mod compare;
mod completions;
mod doctor;
mod evaluate;
mod export;
mod generate;
mod import;
mod inspect;
mod man;
mod plot;
mod prepare;
mod serve;
mod train;

pub(crate) use bench::Bench;
pub(crate) use compare::Compare;
pub(crate) use completions::Completions;
pub(crate) use doctor::Doctor;
pub(crate) use evaluate::Evaluate;
pub(crate) use export::Export;
pub(crate) use generate::Generate;
pub(crate) use import::Import;
pub(crate) use inspect::Inspect;
pub(crate) use man::Man;
pub(crate) use plot::Plot;
pub(crate) use prepare::Prepare;
pub(crate) use serve::Serve;
pub(crate) use train::Train;
