//! What is known about the machine and this process on it.

use std::fs;

/// The largest amount of memory that the process ever held, in MiB; known on Linux only.
pub(super) fn peak_memory_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The name of the processor; known on Linux only, and not on every architecture.
pub(super) fn cpu_name() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(value.trim_start_matches([' ', '\t', ':']).to_owned())
}
