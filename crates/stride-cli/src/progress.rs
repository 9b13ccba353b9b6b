//! Progress bars, for people who watch.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether somebody asked for quiet.
static ARE_HIDDEN: AtomicBool = AtomicBool::new(false);

/// Shows no bars from now on.
pub(crate) fn hide_bars() {
    ARE_HIDDEN.store(true, Ordering::Relaxed);
}

/// Whether bars are seen: stderr is a terminal, and nobody asked for quiet.
pub(crate) fn are_bars_seen() -> bool {
    stderr().is_terminal() && !ARE_HIDDEN.load(Ordering::Relaxed)
}

/// A bar on stderr where it [is seen](are_bars_seen), and nothing elsewhere (`is_hidden`).
pub(crate) fn bar(length: u64, template: &str) -> ProgressBar {
    let target =
        if are_bars_seen() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}
