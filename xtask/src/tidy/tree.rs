//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Every file below the root, without version control and what `.gitignore` leaves out.
pub(crate) struct Tree {
    root: PathBuf,
    /// Paths from the root, with forward slashes, sorted.
    files: Vec<String>,
}

impl Tree {
    /// Lists the files below `root`.
    pub(crate) fn walk(root: &Path) -> Result<Self> {
        let ignored = Ignored::read(root);
        let mut files = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            let entries = fs::read_dir(&path).with_context(|| path.display().to_string())?;
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path =
                    if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if ignored.contains(&path, &name) {
                    continue;
                }
                // A link is neither here, so that a walk ends.
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(Self { root: root.to_owned(), files })
    }

    /// The files, from the root.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// The files below a folder, such as `configs/`, that end like this.
    pub(crate) fn below<'a>(
        &'a self,
        folder: &'a str,
        ending: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.files().filter(move |file| file.starts_with(folder) && file.ends_with(ending))
    }

    /// The text of a file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.root.join(file)).with_context(|| file.to_owned())
    }

    /// The size of a file in bytes.
    pub(crate) fn size(&self, file: &str) -> Result<u64> {
        Ok(fs::metadata(self.root.join(file)).with_context(|| file.to_owned())?.len())
    }
}

/// The part of `.gitignore` that this repository uses: `/name` at the root, `name/` and
/// `*.ending` anywhere.
struct Ignored {
    at_root: Vec<String>,
    folders: Vec<String>,
    endings: Vec<String>,
}

impl Ignored {
    fn read(root: &Path) -> Self {
        // A folder without the file ignores nothing.
        let text = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let lines = || text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let collect = |part: fn(&str) -> Option<&str>| {
            lines().filter_map(part).map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            at_root: collect(|line| line.strip_prefix('/').map(|name| name.trim_end_matches('/'))),
            folders: collect(|line| line.strip_suffix('/').filter(|name| !name.starts_with('/'))),
            endings: collect(|line| line.strip_prefix('*')),
        }
    }

    fn contains(&self, path: &str, name: &str) -> bool {
        name == ".git"
            || self.at_root.iter().any(|ignored| ignored == path)
            || self.folders.iter().any(|ignored| ignored == name)
            || self.endings.iter().any(|ending| name.ends_with(ending))
    }
}

/// A tree of the given files in a temporary folder, for tests.
#[cfg(test)]
pub(crate) fn tree_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (file, text) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let tree = Tree::walk(folder.path()).expect("a tree");
    (folder, tree)
}

/// What a check finds in a tree of the given files, for tests.
#[cfg(test)]
pub(crate) fn problems_in(
    files: &[(&str, &str)],
    check: fn(&Tree, &mut Vec<String>) -> Result<()>,
) -> Vec<String> {
    let (_folder, tree) = tree_of(files);
    let mut problems = Vec::new();
    check(&tree, &mut problems).expect("readable files");
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_left_out() {
        let (_folder, tree) = tree_of(&[
            (".gitignore", "/target\n/data\n__pycache__/\n*.log\n"),
            (".git/config", ""),
            ("target/a.rs", ""),
            ("src/target/a.rs", ""),
            ("parity/__pycache__/a.py", ""),
            ("run.log", ""),
            ("src/data.rs", ""),
        ]);
        let files: Vec<&str> = tree.files().collect();
        assert_eq!(files, [".gitignore", "src/data.rs", "src/target/a.rs"]);
    }
}
