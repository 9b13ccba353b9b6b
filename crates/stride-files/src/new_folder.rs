//! Folders that appear whole or not at all, and stay after a power cut.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::FileError;
use crate::whole_file::{TEMPORARY, folder_of, remove_folder_if_there, sync_folder};

/// A folder in the making, beside the place it is for; dropped before [`commit`](Self::commit), it is gone.
#[derive(Debug)]
pub struct NewFolder {
    temporary: TempDir,
    target: PathBuf,
}

impl NewFolder {
    /// Makes the temporary folder, and the folder that `target` lies in where it is missing.
    ///
    /// What a killed process left of the same folder is removed. One process at a time makes a folder.
    ///
    /// # Errors
    /// A file stands at `target`, or the disk refuses.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        // A link stays, and the folder it leads to is replaced.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        if target.exists() && !target.is_dir() {
            return Err(FileError::io(&target)(io::ErrorKind::NotADirectory.into()));
        }
        let parent = folder_of(&target);
        fs::create_dir_all(&parent).map_err(FileError::io(&parent))?;
        let (prefix, suffix) = (temporary_prefix(&target), TEMPORARY.1);
        remove_folder_if_there(&parent.join(format!("{prefix}{suffix}")))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(suffix).rand_bytes(0);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let temporary = builder.tempdir_in(&parent).map_err(FileError::io(&parent))?;
        Ok(Self { temporary, target })
    }

    /// Where its files are written until [`commit`](Self::commit).
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Writes a file at a path inside the folder, with the folders on the way to it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
        let path = self.path().join(name);
        let folder = folder_of(&path);
        fs::create_dir_all(&folder).map_err(FileError::io(&folder))?;
        fs::write(&path, bytes).map_err(FileError::write(&path))
    }

    /// Waits until the disk has everything and puts the folder into its place; one that stands there is removed.
    ///
    /// On Linux and Apple's systems the two folders change places in one step. Where that is not possible, the old
    /// one is moved aside first, and a kill in between leaves it as `.stride-NAME.old`.
    ///
    /// # Errors
    /// The disk refuses; what stood there stands.
    pub fn commit(self) -> Result<(), FileError> {
        sync_all(self.path())?;
        put_in_place(self.path(), &self.target).map_err(FileError::write(&self.target))?;
        // What the temporary folder holds now, if anything, is the old one, and dropping removes it.
        sync_folder(&folder_of(&self.target))
    }
}

/// Removes a folder that may not be there: it is gone at once, and what a kill leaves of it is temporary.
///
/// # Errors
/// It cannot be moved or removed.
pub fn remove_folder(dir: &Path) -> Result<(), FileError> {
    if !dir.exists() {
        return Ok(());
    }
    let rest = folder_of(dir).join(format!("{}{}", temporary_prefix(dir), TEMPORARY.1));
    remove_folder_if_there(&rest)?;
    fs::rename(dir, &rest).map_err(FileError::io(dir))?;
    remove_folder_if_there(&rest)
}

fn temporary_prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!("{}{name}", TEMPORARY.0)
}

/// Flushes every file and folder below `dir`, and `dir` itself.
fn sync_all(dir: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(dir).map_err(FileError::io(dir))? {
        let path = entry.map_err(FileError::io(dir))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            // Windows flushes only what is open for writing.
            let file = OpenOptions::new().read(true).write(cfg!(windows)).open(&path);
            file.and_then(|file| file.sync_all()).map_err(FileError::write(&path))?;
        }
    }
    sync_folder(dir)
}

fn put_in_place(new: &Path, target: &Path) -> io::Result<()> {
    if !target.exists() {
        return fs::rename(new, target);
    }
    match exchange(new, target) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
        {
            move_aside_and_replace(new, target)
        }
        result => result,
    }
}

/// Swaps two folders in one step.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn move_aside_and_replace(new: &Path, target: &Path) -> io::Result<()> {
    let aside = folder_of(target).join(format!("{}.old", temporary_prefix(target)));
    if aside.exists() {
        fs::remove_dir_all(&aside)?;
    }
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(new, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    fs::remove_dir_all(&aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths and contents of all files below a folder, sorted.
    fn contents(dir: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                let inner = contents(&path).into_iter();
                found.extend(inner.map(|(inner, text)| (format!("{name}/{inner}"), text)));
            } else {
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
        found.sort();
        found
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    fn make(target: &Path, files: &[(&str, &str)]) {
        let folder = NewFolder::create(target).expect("writable");
        for (name, text) in files {
            folder.write(name, text.as_bytes()).expect("writable");
        }
        folder.commit().expect("writable");
    }

    #[test]
    fn a_folder_is_removed_with_what_kills_left() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (target, other) = (dir.path().join("a"), dir.path().join("b"));
        make(&target, &[("x", "1")]);
        make(&other, &[("x", "2")]);
        for rest in [".stride-a.tmp", ".stride-c.tmp"] {
            fs::create_dir(dir.path().join(rest)).expect("writable");
            fs::write(dir.path().join(rest).join("y"), "3").expect("writable");
        }
        remove_folder(&target).expect("removable");
        remove_folder(&target).expect("gone already");
        assert_eq!(contents(dir.path()), pairs(&[(".stride-c.tmp/y", "3"), ("b/x", "2")]));
        crate::remove_temporary(dir.path()).expect("removable");
        assert_eq!(contents(dir.path()), pairs(&[("b/x", "2")]));
    }

    #[test]
    fn a_folder_takes_the_place_of_the_old_one_whole() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let target = dir.path().join("runs").join("model");
        make(&target, &[("index", "1"), ("part/a", "1"), ("part/b", "1")]);
        assert_eq!(
            contents(dir.path()),
            pairs(&[
                ("runs/model/index", "1"),
                ("runs/model/part/a", "1"),
                ("runs/model/part/b", "1")
            ])
        );
        make(&target, &[("index", "2"), ("part/a", "2")]);
        assert_eq!(
            contents(dir.path()),
            pairs(&[("runs/model/index", "2"), ("runs/model/part/a", "2")])
        );
    }

    #[test]
    fn what_is_not_finished_leaves_the_old_one() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let target = dir.path().join("model");
        make(&target, &[("index", "1"), ("weights", "1")]);
        let old = pairs(&[("model/index", "1"), ("model/weights", "1")]);

        let folder = NewFolder::create(&target).expect("writable");
        folder.write("index", b"2").expect("writable");
        // `index` is a file, so this write fails in the middle.
        folder.write("index/weights", b"2").expect_err("a file is no folder");
        drop(folder);
        assert_eq!(contents(dir.path()), old);

        NewFolder::create(&target.join("index")).expect_err("a file");
        assert_eq!(contents(dir.path()), old);

        // A killed process drops nothing; the next one clears it away.
        let killed = NewFolder::create(&target).expect("writable");
        killed.write("index", b"3").expect("writable");
        std::mem::forget(killed);
        assert_eq!(contents(&target), pairs(&[("index", "1"), ("weights", "1")]));
        make(&target, &[("index", "4")]);
        assert_eq!(contents(dir.path()), pairs(&[("model/index", "4")]));
    }

    #[test]
    fn the_way_without_an_exchange_ends_the_same() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (new, target) = (dir.path().join("new"), dir.path().join("model"));
        for (folder, text) in [(&new, "2"), (&target, "1")] {
            fs::create_dir(folder).expect("writable");
            fs::write(folder.join("a"), text).expect("writable");
        }
        move_aside_and_replace(&new, &target).expect("writable");
        assert_eq!(contents(dir.path()), pairs(&[("model/a", "2")]));
        move_aside_and_replace(&new, &target).expect_err("nothing to put there");
        assert_eq!(contents(dir.path()), pairs(&[("model/a", "2")]));
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_a_folder_stays_a_link() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        make(&real, &[("a", "1")]);
        std::os::unix::fs::symlink(&real, &link).expect("writable");
        make(&link, &[("a", "2")]);
        assert!(link.is_symlink());
        assert_eq!(contents(&real), pairs(&[("a", "2")]));
    }
}
