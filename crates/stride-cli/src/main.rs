//! The program `stride`: one file per subcommand in `commands/`, and what they share beside it.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 128 and the number of
//! the signal when one asked the program to end (130 for Ctrl-C); 0 after all where a training run has saved its state.

mod commands;
mod compute;
mod interrupt;
mod logging;
mod processor;
mod progress;
mod terminal;
mod usage;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stride_kernels::isa::Isa;

use crate::commands::{
    Bench, Compare, Doctor, Evaluate, Generate, Import, Inspect, Plot, Prepare, Train,
};
use crate::terminal::printable;
use crate::usage::{UsageError, usage};

/// Few-step text-to-image generation with shortcut models
#[derive(Debug, Parser)]
#[command(name = "stride", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(Bench),
    Compare(Compare),
    Doctor(Doctor),
    Evaluate(Box<Evaluate>),
    Generate(Generate),
    Import(Import),
    Inspect(Inspect),
    Plot(Plot),
    Prepare(Prepare),
    Train(Train),
}

fn main() -> ExitCode {
    stride_kernels::memory::keep_freed_memory();
    let command = Cli::parse().command;
    logging::init(matches!(command, Command::Compare(_) | Command::Prepare(_) | Command::Train(_)));
    let result = check_environment().and_then(|()| command.run());
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "error: {}", printable(&message(&error)));
            match error.downcast_ref::<UsageError>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    };
    interrupt::exit_code().map_or(code, ExitCode::from)
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Bench(command) => command.run(),
            Self::Compare(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::Evaluate(command) => command.run(),
            Self::Generate(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Plot(command) => command.run(),
            Self::Prepare(command) => command.run(),
            Self::Train(command) => command.run(),
        }
    }
}

/// Refuses values of environment variables that mean nothing.
fn check_environment() -> anyhow::Result<()> {
    Isa::check_environment().or_else(|error| usage(error.to_string()))
}

/// An error and its causes; a cause that ends the message already is not told again.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let system = || std::io::Error::other("no such file");
        let named = anyhow::Error::new(system()).context("run.toml: no such file");
        assert_eq!(message(&named), "run.toml: no such file");
        let context = anyhow::Error::new(system()).context("cannot read run.toml");
        assert_eq!(message(&context), "cannot read run.toml: no such file");
    }
}
