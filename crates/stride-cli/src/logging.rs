//! Log lines on stderr.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// Warnings.
    Quiet,
    /// Warnings and information, or what `RUST_LOG` chooses.
    Usual,
    /// What the program does, step by step.
    Verbose,
}

/// Sends log lines to stderr.
///
/// Long commands want the time on every line, short ones are easier to read without it. Colours are for terminals, unless
/// `NO_COLOR` is set to anything.
pub(crate) fn init(loudness: Loudness, with_time: bool) {
    let filter = match loudness {
        Loudness::Quiet => EnvFilter::new("warn"),
        Loudness::Usual => {
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"))
        }
        // Crates whose names begin so are ours.
        Loudness::Verbose => EnvFilter::new("info,stride=debug"),
    };
    let wants_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && !wants_no_color)
        .with_target(false)
        // A line that cannot be written is lost, and the command goes on.
        .log_internal_errors(false);
    if with_time {
        lines.init();
    } else {
        lines.without_time().init();
    }
}
