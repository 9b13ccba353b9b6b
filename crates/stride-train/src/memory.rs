//! Whether what a configuration asks for fits into memory, before it is asked for.

use std::fs;

use stride_files::memory_limit;

use crate::TrainError;

/// Rows of the largest batch.
pub(crate) const MAX_BATCH: usize = 1 << 16;
/// Height and width of the largest images.
pub(crate) const MAX_RESOLUTION: usize = 1 << 14;
/// Bytes of an f32.
const F32: u128 = 4;

/// Refuses what is larger than the machine, or the control group that this process is in: `numbers` in f32 that the
/// settings in `what` cause.
///
/// It is a bound from below, for settings that are wrong by far; a run may need more. Where the system does not tell
/// how much memory there is, everything fits.
///
/// # Errors
/// They do not fit.
pub(crate) fn check(what: &'static str, numbers: u128) -> Result<(), TrainError> {
    let needed = numbers.saturating_mul(F32);
    match memory_limit() {
        Some(total) if needed > u128::from(total) => Err(TrainError::Memory {
            what,
            needed: gigabytes(needed),
            total: gigabytes(total.into()),
        }),
        _ => Ok(()),
    }
}

fn gigabytes(bytes: u128) -> f64 {
    bytes as f64 / 1e9
}

/// Bytes that this process has had in memory at most; none where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn more_than_the_machine_has_is_refused() {
        check("dit.batch_size", 1 << 20).expect("4 MB");
        for numbers in [1 << 50, u128::MAX] {
            let message = check("dit.batch_size", numbers).expect_err("too much").to_string();
            assert!(message.starts_with("dit.batch_size: "), "{message}");
        }
    }
}
