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

use anyhow::Context as _;
use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use stride_kernels::isa::Isa;
use stride_kernels::workers::limit_threads;

use crate::commands::{
    Bench, Compare, Completions, Doctor, Evaluate, Export, Generate, Import, Inspect, Man, Plot,
    Prepare, Serve, Train,
};
use crate::logging::Loudness;
use crate::terminal::printable;
use crate::usage::{UsageError, usage};

/// Few-step text-to-image generation with shortcut models
#[derive(Debug, Parser)]
#[command(name = "stride", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    general: GeneralOptions,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
struct GeneralOptions {
    /// Say nothing but warnings, errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more of what is done; RUST_LOG chooses more finely
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Threads that the processor's work is shared among [default: one for every core]
    #[arg(long, global = true, env = "STRIDE_THREADS", value_name = "N", value_parser = threads())]
    threads: Option<u16>,
}

fn threads() -> RangedU64ValueParser<u16> {
    RangedU64ValueParser::new().range(1..=MAX_THREADS)
}

/// More than any machine has cores.
const MAX_THREADS: u64 = 4096;

#[derive(Debug, Subcommand)]
enum Command {
    Bench(Bench),
    Compare(Compare),
    Completions(Completions),
    Doctor(Doctor),
    Evaluate(Box<Evaluate>),
    Export(Export),
    Generate(Box<Generate>),
    Import(Import),
    Inspect(Inspect),
    Man(Man),
    Plot(Plot),
    Prepare(Prepare),
    Serve(Serve),
    Train(Train),
}

fn main() -> ExitCode {
    stride_kernels::memory::keep_freed_memory();
    let Cli { command, general } = Cli::parse();
    let with_time =
        matches!(command, Command::Compare(_) | Command::Prepare(_) | Command::Train(_));
    let result = general.apply(with_time).and_then(|()| command.run());
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
            Self::Completions(command) => command.run::<Cli>(),
            Self::Doctor(command) => command.run(),
            Self::Evaluate(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Generate(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Man(command) => command.run::<Cli>(),
            Self::Plot(command) => command.run(),
            Self::Prepare(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Train(command) => command.run(),
        }
    }
}

impl GeneralOptions {
    /// Does what they say, and refuses values of environment variables that mean nothing.
    fn apply(&self, with_time: bool) -> anyhow::Result<()> {
        let loudness = match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (false, true) => Loudness::Verbose,
            (false, false) => Loudness::Usual,
        };
        logging::init(loudness, with_time);
        if self.quiet {
            progress::hide_bars();
        }
        if let Some(threads) = self.threads {
            limit_threads(threads.into()).context("cannot limit the threads")?;
        }
        Isa::check_environment().or_else(|error| usage(error.to_string()))?;
        tracing::debug!(
            "stride {}, instructions {:?}, {} threads",
            env!("CARGO_PKG_VERSION"),
            Isa::detect(),
            self.threads.map_or_else(|| "all".to_owned(), |threads| threads.to_string())
        );
        Ok(())
    }
}

/// An error and its causes; a cause that the message tells already is not told again.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
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
        let advised = anyhow::Error::new(system()).context("run.toml (no such file); name another");
        assert_eq!(message(&advised), "run.toml (no such file); name another");
        let context = anyhow::Error::new(system()).context("cannot read run.toml");
        assert_eq!(message(&context), "cannot read run.toml: no such file");
    }
}
