//! Files that appear whole or not at all, and stay after a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::FileError;
use crate::regular_file::{other_kind, read_file};

/// How names of temporary files and folders begin and end.
pub(crate) const TEMPORARY: (&str, &str) = (".stride-", ".tmp");

/// Writes a file through a temporary one beside it, so that nobody ever sees a part of it; what stood at `path` is
/// replaced. A link stays, and the file it leads to is replaced.
///
/// # Errors
/// The folder is missing, the disk refuses (the temporary file is removed), or a pipe or device stands at `path`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    check_kind(path)?;
    let path = &end_of_links(path);
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(FileError::write(path))?;
    file.persist(path).map_err(|error| FileError::write(path)(error.error))?;
    sync_folder(&folder_of(path))
}

/// Writes a file whose content differs from what is there; says whether it did.
///
/// # Errors
/// As [`write_whole`].
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    if read_file(path).is_ok_and(|found| found == bytes) {
        return Ok(false);
    }
    write_whole(path, bytes).map(|()| true)
}

/// Checks that [`write_whole`] can write at `path`, before seconds or hours of work are spent on the content.
///
/// # Errors
/// Names the folder or file and what to do.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    check_kind(path)?;
    temporary_beside(&end_of_links(path))?;
    if path.exists() && fs::metadata(path).is_ok_and(|found| found.permissions().readonly()) {
        return Err(FileError::ReadOnly { path: path.to_owned() });
    }
    Ok(())
}

/// The one name of the place that [`write_whole`] writes to at `path`, however the path is spelled.
pub fn place_of(path: &Path) -> PathBuf {
    let path = end_of_links(path);
    match (fs::canonicalize(folder_of(&path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// Removes a file that may not be there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove_if_there(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io(path)(error)),
        _ => Ok(()),
    }
}

/// Removes the temporary files and folders that a killed process has left in a folder; no other may be writing there.
///
/// # Errors
/// The folder cannot be listed, or a file cannot be removed.
pub fn remove_temporary(dir: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(dir).map_err(FileError::io(dir))? {
        let path = entry.map_err(FileError::io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1) {
            if path.is_dir() {
                remove_folder_if_there(&path)?;
            } else {
                remove_if_there(&path)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn remove_folder_if_there(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io(dir)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a folder as lasting as the files they name.
///
/// # Errors
/// The folder cannot be opened, or the disk refuses.
pub fn sync_folder(dir: &Path) -> Result<(), FileError> {
    // Only Unix lets a folder be opened like a file.
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::io(dir))?;
    }
    Ok(())
}

/// The folder that a path lies in; the current one for a bare name.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Refuses to replace what is no file.
fn check_kind(path: &Path) -> Result<(), FileError> {
    let Ok(found) = fs::metadata(path) else {
        return Ok(());
    };
    if found.is_dir() {
        return Err(FileError::IsFolder { path: path.to_owned() });
    }
    match other_kind(&found.file_type()) {
        Some(_) => Err(FileError::NotAFile { path: path.to_owned() }),
        None => Ok(()),
    }
}

/// The path that links lead to, whether or not a file is there.
fn end_of_links(path: &Path) -> PathBuf {
    /// As many as Linux follows; links in a circle come to no end.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = folder_of(&path).join(target);
    }
    path
}

fn temporary_beside(path: &Path) -> Result<NamedTempFile, FileError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(FileError::NoFolder { path: path.to_owned(), folder });
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    // Temporary files are private by default, but here the user's umask shall decide.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(&folder).map_err(|error| FileError::FolderRefuses {
        path: path.to_owned(),
        folder: folder.clone(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("readable").file_name();
        entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a");
        write_whole(&path, b"old").expect("writable");
        assert!(!write_if_changed(&path, b"old").expect("writable"));
        assert!(write_if_changed(&path, b"new").expect("writable"));
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(names(dir.path()), ["a"]);
        check_writable(&path).expect("writable");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_path_that_takes_no_file_says_why() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let message = |path: &Path| check_writable(path).expect_err("not writable").to_string();
        assert!(message(dir.path()).contains("it is a folder"));
        let missing = dir.path().join("missing").join("a");
        assert!(message(&missing).contains("there is no folder"));
        assert!(write_whole(&missing, b"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_written() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().expect("temporary folder");
        let [file, link, second] = ["file", "link", "second"].map(|name| dir.path().join(name));
        symlink("file", &link).expect("writable");
        symlink("link", &second).expect("writable");
        // First the file is not there yet.
        for text in ["1", "2"] {
            check_writable(&second).expect("writable");
            write_whole(&second, text.as_bytes()).expect("writable");
            assert!(link.is_symlink() && second.is_symlink());
            assert_eq!(fs::read_to_string(&file).expect("there"), text);
        }
        let around = dir.path().join("..").join(dir.path().file_name().expect("a name"));
        assert_eq!(place_of(&second), place_of(&around.join("file")));
        assert_ne!(place_of(&second), place_of(&around.join("other")));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_not_replaced() {
        use std::os::unix::fs::FileTypeExt as _;

        let dir = tempfile::tempdir().expect("temporary folder");
        let pipe = dir.path().join("pipe");
        crate::regular_file::make_pipe(&pipe);
        for result in [check_writable(&pipe), write_whole(&pipe, b"")] {
            let message = result.expect_err("a pipe").to_string();
            assert!(message.contains("it is a pipe or device"), "{message}");
        }
        assert!(fs::metadata(&pipe).expect("there").file_type().is_fifo());
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in [".stride-x1.tmp", "mine.tmp", ".stride-x1"] {
            fs::write(dir.path().join(name), b"").expect("writable");
        }
        remove_temporary(dir.path()).expect("removable");
        let mut left = names(dir.path());
        left.sort();
        assert_eq!(left, [".stride-x1", "mine.tmp"]);
    }
}
