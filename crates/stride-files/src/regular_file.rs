//! Reading files that are files: a pipe or a device may give nothing, or never end.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::LazyLock;

use crate::memory::memory_limit;

/// Opens a file; a pipe, a device or a folder is refused at once.
///
/// # Errors
/// The operating system's answer, which does not name the path.
pub fn open_file(path: &Path) -> io::Result<File> {
    // Before it is opened, since opening a pipe waits for whoever writes into it.
    if let Some(kind) = other_kind(&fs::metadata(path)?.file_type()) {
        return Err(refused(format!("expected a file, found {kind}")));
    }
    File::open(path)
}

/// The bytes of a file, as [`fs::read`]; a pipe, a device or a folder is refused at once, and so is a file that is larger
/// than [`memory_limit`].
///
/// # Errors
/// As [`open_file`]; or the file is too large.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Asked for once: data sets are read a file an image, and the system answers in files, too.
    static LIMIT: LazyLock<u64> = LazyLock::new(|| memory_limit().unwrap_or(u64::MAX));
    read_within(open_file(path)?, *LIMIT)
}

/// The text of a file, as [`fs::read_to_string`]; otherwise as [`read_file`].
///
/// # Errors
/// As [`read_file`]; or the file is not UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    let not_utf8 = |_| io::Error::new(io::ErrorKind::InvalidData, "expected a text in UTF-8");
    String::from_utf8(read_file(path)?).map_err(not_utf8)
}

fn read_within(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > limit {
        let [size, limit] = [size, limit].map(|bytes| bytes as f64 / 1e9);
        return Err(refused(format!(
            "expected a file that fits into {limit:.1} GB of memory, found {size:.1} GB"
        )));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    // One that grows meanwhile is not followed for ever.
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refused(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
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

    #[test]
    fn what_is_larger_than_memory_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("sparse");
        let file = File::create(&path).expect("writable");
        file.set_len(3_000_000_000).expect("a sparse file");
        let open = || open_file(&path).expect("a file");
        let error = read_within(open(), 1_500_000_000).expect_err("too large").to_string();
        assert_eq!(error, "expected a file that fits into 1.5 GB of memory, found 3.0 GB");
        file.set_len(7).expect("shorter");
        assert_eq!(read_within(open(), 7).expect("fits"), [0; 7]);
        assert!(read_within(open(), 6).is_err());
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
