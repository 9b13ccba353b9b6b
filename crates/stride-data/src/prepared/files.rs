//! Files that appear complete or not at all, and stay after a power cut.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::DataError;

/// How names of temporary files begin and end.
const TEMPORARY: (&str, &str) = (".stride-", ".tmp");

/// Writes a file through a temporary one beside it; what stood at `path` is replaced.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    // Temporary files are private by default, but the user's umask shall decide about a cache.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(DataError::io(dir))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(DataError::io(path))?;
    file.persist(path).map_err(|error| DataError::io(path)(error.error))?;
    sync_folder(dir)
}

/// Writes a file whose content differs from what is there; says whether it did.
pub(super) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, DataError> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(false);
    }
    write_whole(path, bytes).map(|()| true)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), DataError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DataError::io(path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes temporary files that a killed run has left.
pub(super) fn remove_temporary(dir: &Path) -> Result<(), DataError> {
    for entry in fs::read_dir(dir).map_err(DataError::io(dir))? {
        let path = entry.map_err(DataError::io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Makes the names in a folder as lasting as the files they name.
pub(super) fn sync_folder(dir: &Path) -> Result<(), DataError> {
    // Only Unix lets a folder be opened like a file.
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(DataError::io(dir))?;
    }
    Ok(())
}
