//! Log lines on stderr.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// Sends log lines to stderr; `RUST_LOG` chooses which ones, by default warnings and information.
///
/// Long commands want the time on every line, short ones are easier to read without it.
pub(crate) fn init(with_time: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        // A line that cannot be written is lost, and the command goes on.
        .log_internal_errors(false);
    if with_time {
        lines.init();
    } else {
        lines.without_time().init();
    }
}
