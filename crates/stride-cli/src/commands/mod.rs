//! The subcommands.

mod generate;
mod inspect;
mod train;

pub(crate) use generate::Generate;
pub(crate) use inspect::Inspect;
pub(crate) use train::Train;
