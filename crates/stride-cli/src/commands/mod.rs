//! The subcommands.

mod bench;
mod compare;
mod doctor;
mod evaluate;
mod generate;
mod import;
mod inspect;
mod plot;
mod prepare;
mod train;

pub(crate) use bench::Bench;
pub(crate) use compare::Compare;
pub(crate) use doctor::Doctor;
pub(crate) use evaluate::Evaluate;
pub(crate) use generate::Generate;
pub(crate) use import::Import;
pub(crate) use inspect::Inspect;
pub(crate) use plot::Plot;
pub(crate) use prepare::Prepare;
pub(crate) use train::Train;
