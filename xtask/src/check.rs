//! What CI runs, cheapest first, each step with its time.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::output::print;
use crate::{command, dist, tidy};

/// The steps that call cargo after tidy. All use the release profile, so that tests and program
/// share one build of the dependencies.
const CARGO_STEPS: [&[&str]; 3] = [
    &["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"],
    &["test", "--workspace", "--release"],
    // Libraries only: the program and the core are both named stride and would share a folder.
    &["doc", "--workspace", "--lib", "--no-deps", "--release"],
];

/// Runs every step and stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    timed("cargo fmt --all --check", || cargo(root, &["fmt", "--all", "--check"]))?;
    timed("tidy", || tidy::run(root))?;
    timed("licences", || dist::check_licenses(root))?;
    for arguments in CARGO_STEPS {
        timed(&format!("cargo {}", arguments.join(" ")), || cargo(root, arguments))?;
    }
    print(&format!("check: everything passed in {:.0} s", start.elapsed().as_secs_f64()))
}

fn timed(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    print(&format!("== {name}"))?;
    let start = Instant::now();
    step().with_context(|| format!("{name} failed"))?;
    print(&format!("== {name}: passed in {:.1} s", start.elapsed().as_secs_f64()))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = command::cargo(root);
    command.args(arguments);
    if arguments.first() == Some(&"doc") {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    command::run(&mut command)
}
