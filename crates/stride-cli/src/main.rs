//! The program `stride`: one file per subcommand in `commands/`, and what they share beside it.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 128 and the number of
//! the signal when one asked the program to end (130 for Ctrl-C).

mod commands;
mod compute;
mod interrupt;
mod logging;
mod progress;
mod usage;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{Bench, Compare, Evaluate, Generate, Import, Inspect, Plot, Prepare, Train};
use crate::usage::UsageError;

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
    let result = match command {
        Command::Bench(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Evaluate(command) => command.run(),
        Command::Generate(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Plot(command) => command.run(),
        Command::Prepare(command) => command.run(),
        Command::Train(command) => command.run(),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            match error.downcast_ref::<UsageError>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    };
    interrupt::exit_code().map_or(code, ExitCode::from)
}
