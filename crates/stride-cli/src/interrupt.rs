//! Ctrl-C, the request to end, the end of the terminal and that of a job's time (SIGINT, SIGTERM, SIGHUP, SIGUSR1) as a
//! flag.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;

/// A shell's exit code of a command that a signal ended is this and the number of the signal.
const ENDED_BY_SIGNAL: i32 = 128;

/// The number of the latest signal; 0 before the first.
static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Whether what the signal asked for is done in order, so that the program succeeds.
static IS_OBEYED: AtomicBool = AtomicBool::new(false);

/// Makes the first signal set the returned flag, so that the command ends in order; a second one ends
/// the program at once.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let received = RECEIVED.get_or_init(Arc::default);
    for signal in TERM_SIGNALS.iter().copied().chain(hangup()).chain(queue()) {
        // In this order: a signal first meets the flag as the one before it left it.
        flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, Arc::clone(&stop))
            .and_then(|_| flag::register_usize(signal, Arc::clone(received), signal as usize))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(stop)
}

/// Makes a signal that has come, or comes from now on, no failure: everything is saved, and a cluster's queue shall not
/// take the job for a broken one.
pub(crate) fn obeyed() {
    IS_OBEYED.store(true, Ordering::SeqCst);
}

/// The exit code of a command that was asked to end, however much it finished: whatever waits for it in a script
/// shall not begin. None where the command has obeyed in order.
pub(crate) fn exit_code() -> Option<u8> {
    let signal = RECEIVED.get()?.load(Ordering::SeqCst);
    (signal > 0 && !IS_OBEYED.load(Ordering::SeqCst))
        .then(|| u8::try_from(ENDED_BY_SIGNAL as usize + signal).unwrap_or(u8::MAX))
}

/// SIGUSR1, which `mpirun` hands on and Slurm sends before the time is up where it is asked to.
#[cfg(unix)]
fn queue() -> Option<i32> {
    Some(signal_hook::consts::SIGUSR1)
}

#[cfg(not(unix))]
fn queue() -> Option<i32> {
    None
}

/// SIGHUP, unless `nohup` or its like made the program deaf to it.
#[cfg(unix)]
fn hangup() -> Option<i32> {
    use std::io::IsTerminal as _;
    let signal = signal_hook::consts::SIGHUP;
    let is_heard = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.unwrap_or_default() & (1 << (signal - 1)) == 0
        }
        // Where the system does not tell: what `nohup` starts has no terminal to write to.
        Err(_) => std::io::stderr().is_terminal(),
    };
    is_heard.then_some(signal)
}

#[cfg(not(unix))]
fn hangup() -> Option<i32> {
    None
}
