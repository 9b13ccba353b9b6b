//! The name of the processor.

use std::fs;

/// What the processor calls itself; known on Linux only, and not on every architecture.
pub(crate) fn cpu_name() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(value.trim_start_matches([' ', '\t', ':']).to_owned())
}
