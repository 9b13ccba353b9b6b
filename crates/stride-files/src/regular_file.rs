//! Reading files that are files: a pipe or a device may give nothing, or never end.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a file; a pipe, a device or a folder is refused at once.
///
/// # Errors
/// The operating system's answer, which does not name the path.
pub fn open_file(path: &Path) -> io::Result<File> {
    // Before it is opened, since opening a pipe waits for whoever writes into it.
    if let Some(kind) = other_kind(&fs::metadata(path)?.file_type()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("expected a file, found {kind}"),
        ));
    }
    File::open(path)
}

/// The bytes of a file, as [`fs::read`]; a pipe, a device or a folder is refused at once.
///
/// # Errors
/// As [`open_file`].
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    open_file(path)?;
    fs::read(path)
}

/// The text of a file, as [`fs::read_to_string`]; a pipe, a device or a folder is refused at once.
///
/// # Errors
/// As [`open_file`]; or the file is not UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    open_file(path)?;
    fs::read_to_string(path)
}

/// What something is that is no file.
pub(crate) fn other_kind(found: &fs::FileType) -> Option<&'static str> {
    if found.is_file() {
        None
    } else if found.is_dir() {
        Some("a folder")
    } else {
        Some("a pipe or device")
    }
}

/// A named pipe, for tests.
#[cfg(all(test, unix))]
pub(crate) fn make_pipe(path: &Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status();
    assert!(status.expect("the system has mkfifo").success());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_nothing_else() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a");
        fs::write(&path, "text").expect("writable");
        assert_eq!(read_file(&path).expect("readable"), b"text");
        assert_eq!(read_text_file(&path).expect("readable"), "text");
        let message = |path: &Path| read_file(path).expect_err("no file").to_string();
        assert_eq!(message(dir.path()), "expected a file, found a folder");
        assert_eq!(
            read_file(&dir.path().join("b")).expect_err("missing").kind(),
            io::ErrorKind::NotFound
        );
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let pipe = dir.path().join("pipe");
        make_pipe(&pipe);
        for path in [&pipe, Path::new("/dev/zero")] {
            let error = read_file(path).expect_err("no file").to_string();
            assert_eq!(error, "expected a file, found a pipe or device");
        }
    }
}
