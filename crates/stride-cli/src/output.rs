//! Files that appear complete or not at all, for commands that end in any error.

use std::path::Path;

/// As [`stride_files::check_writable`].
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    Ok(stride_files::check_writable(path)?)
}

/// As [`stride_files::write_whole`].
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(stride_files::write_whole(path, bytes)?)
}
