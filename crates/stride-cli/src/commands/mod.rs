//! The subcommands.

pub(crate) mod train;
