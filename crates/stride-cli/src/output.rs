//! Files that appear complete or not at all.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::{Builder, NamedTempFile};

/// Checks that a file can be written at `path`, before hours or seconds of work are spent on its content.
///
/// # Errors
/// Names the folder or file and what to do.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder; name a file inside it", path.display());
    }
    // The content will arrive through a temporary file beside it, so one is tried.
    temporary_beside(path)?;
    if path.exists() && fs::metadata(path).is_ok_and(|found| found.permissions().readonly()) {
        bail!("cannot replace {}: the file is read-only; name another file", path.display());
    }
    Ok(())
}

/// Writes a file through a temporary one in the same folder, so that nobody ever sees a part of it.
///
/// A file that stands at `path` is replaced.
///
/// # Errors
/// When the disk refuses; the temporary file is removed.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// The folder a file lies in; the current one for a bare name.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn temporary_beside(path: &Path) -> anyhow::Result<NamedTempFile> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        bail!(
            "cannot write {}: there is no folder {}; create it first, or name a file elsewhere",
            path.display(),
            folder.display()
        );
    }
    let mut builder = Builder::new();
    builder.prefix(".stride-").suffix(".tmp");
    // Temporary files are private by default, but the user's umask shall decide about images.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(&folder).with_context(|| {
        format!(
            "cannot write {}: no file can be made in {}; make the folder writable, or name a file elsewhere",
            path.display(),
            folder.display()
        )
    })
}
