//! Ctrl-C and the request to end (SIGINT, SIGTERM) as a flag.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;

/// The exit code of a shell's command that Ctrl-C ended at once: 128 + SIGINT.
const ENDED_BY_SIGNAL: i32 = 130;

/// Makes the first signal set the returned flag, so that the command ends in order; a second one ends
/// the program at once.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for &signal in TERM_SIGNALS {
        // In this order: a signal first meets the flag as the one before it left it.
        flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(stop)
}
