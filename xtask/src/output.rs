//! Lines on standard output.

use std::io::{Write as _, stdout};

use anyhow::Result;

/// Prints a line.
pub(crate) fn print(line: &str) -> Result<()> {
    writeln!(stdout(), "{line}")?;
    Ok(())
}
