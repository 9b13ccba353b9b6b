//! Files in a folder or a zip, by their names within it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::names;
use super::search::Search;
use super::shared_file::SharedFile;
use crate::prepared::HEADER;
use crate::{DataError, Problem, ProblemKind};

/// Folders within folders that are entered.
const MAX_DEPTH: usize = 32;

/// A folder or zip that is listed once and read at any time.
pub(super) struct Tree {
    /// Names with the number of the entry in a zip, or 0.
    files: BTreeMap<String, usize>,
    /// Names that are there but have a problem.
    refused: HashSet<String>,
    kind: Kind,
}

enum Kind {
    Folder(PathBuf),
    Zip(Box<ZipArchive<SharedFile>>),
}

impl Tree {
    /// Lists a folder and the folders in it.
    ///
    /// Links are followed that stay inside the folder, or lead from a snapshot of a hub's cache to its blobs. No
    /// folder is entered twice.
    pub(super) fn folder(root: &Path, search: &mut Search<'_>) -> Result<Self, DataError> {
        let real_root = fs::canonicalize(root).map_err(DataError::io(root))?;
        fs::read_dir(root).map_err(DataError::io(root))?;
        let mut walk = Walk::new(real_root, search);
        walk.enter(root, "", 0);
        walk.enter_linked();
        let Walk { files, .. } = walk;
        let problems = &mut search.problems;
        // The system lists a folder in an order of its own.
        problems.sort_by(|a, b| a.name.cmp(&b.name));
        let refused = problems.iter().map(|problem| problem.name.clone()).collect();
        Ok(Self { files, refused, kind: Kind::Folder(root.to_owned()) })
    }

    /// Lists a zip.
    pub(super) fn zip(path: &Path, search: &mut Search<'_>) -> Result<Self, DataError> {
        let file = SharedFile::open(path).map_err(DataError::io(path))?;
        let broken = |error: ZipError| DataError::BrokenSet {
            path: path.to_owned(),
            problem: format!("not a readable zip: {error}"),
        };
        let mut archive = ZipArchive::new(file).map_err(broken)?;
        let mut files = BTreeMap::new();
        for index in 0..archive.len() {
            match zip_entry(&mut archive, index) {
                Ok(None) => {}
                Ok(Some(name)) if names::is_hidden(&name) => {}
                Ok(Some(name)) if files.contains_key(&name) => {
                    search.problem(name, ProblemKind::Duplicate);
                }
                Ok(Some(name)) => _ = files.insert(name, index),
                Err(problem) => search.problems.push(problem),
            }
        }
        if archive.has_duplicate_names() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let problem = "some names come more than once; the last entry of each is used";
            search.problem(name, ProblemKind::Corrupt(problem.to_owned()));
        }
        let refused = search.problems.iter().map(|problem| problem.name.clone()).collect();
        Ok(Self { files, refused, kind: Kind::Zip(Box::new(archive)) })
    }

    /// Names in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// How many bytes a file has.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub(super) fn size(&self, name: &str) -> Result<u64, ProblemKind> {
        self.with_reader(name, |_, length| Ok(length))
    }

    /// Whether the name has been reported as a problem.
    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or has more than `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ProblemKind> {
        self.with_reader(name, |reader, length| read_bounded(reader, length, limit))
    }

    /// Hands a reader of the file and its declared length to `use_it`.
    pub(super) fn with_reader<T>(
        &self,
        name: &str,
        use_it: impl FnOnce(&mut dyn Read, u64) -> Result<T, ProblemKind>,
    ) -> Result<T, ProblemKind> {
        let &index =
            self.files.get(name).ok_or_else(|| ProblemKind::Io("not in the set".into()))?;
        match &self.kind {
            Kind::Folder(root) => {
                let mut file = stride_files::open_file(&root.join(name))?;
                let length = file.metadata()?.len();
                use_it(&mut file, length)
            }
            Kind::Zip(archive) => {
                // A clone shares the directory and has a place of its own in the file.
                let mut archive = archive.clone();
                let mut file = archive.by_index(index).map_err(zip_problem)?;
                let length = file.size();
                use_it(&mut file, length)
            }
        }
    }
}

/// Reads what says it has `length` bytes, and at most `limit`.
fn read_bounded(reader: &mut dyn Read, length: u64, limit: u64) -> Result<Vec<u8>, ProblemKind> {
    let too_large = |found| ProblemKind::TooLarge { unit: "bytes", found, limit };
    if length > limit {
        return Err(too_large(length));
    }
    // What it says may be wrong: memory comes with the bytes.
    let mut bytes = Vec::with_capacity(length.min(1 << 20) as usize);
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let found = bytes.len() as u64;
    if found > limit {
        return Err(too_large(found));
    }
    if found != length {
        let problem = format!("{length} bytes announced, {found} found");
        return Err(ProblemKind::Corrupt(problem));
    }
    Ok(bytes)
}

/// The name of a file in a zip; nothing for a folder.
fn zip_entry(
    archive: &mut ZipArchive<SharedFile>,
    index: usize,
) -> Result<Option<String>, Problem> {
    const LINK: u32 = 0o120_000;
    const TYPE: u32 = 0o170_000;
    let entry = archive
        .by_index_raw(index)
        .map_err(|error| Problem::new(format!("entry {index}"), zip_problem(error)))?;
    let raw = String::from_utf8_lossy(entry.name_raw()).into_owned();
    if entry.is_dir() {
        return Ok(None);
    }
    let checked = if std::str::from_utf8(entry.name_raw()).is_err() {
        Err(ProblemKind::NotUtf8)
    } else if entry.unix_mode().is_some_and(|mode| mode & TYPE == LINK) {
        Err(ProblemKind::Link)
    } else {
        names::clean(&raw)
    };
    checked.map(Some).map_err(|kind| Problem::new(raw, kind))
}

fn zip_problem(error: ZipError) -> ProblemKind {
    match error {
        ZipError::Io(error) => error.into(),
        ZipError::UnsupportedArchive(what) => ProblemKind::Unsupported(what.to_owned()),
        error => ProblemKind::Corrupt(error.to_string()),
    }
}

struct Walk<'a, 'o> {
    /// Where links may lead to: the root, and the blobs of its cache.
    allowed: Vec<PathBuf>,
    /// Folders that are listed, as they really lie.
    entered: HashSet<PathBuf>,
    /// Linked folders, which come after the others: names, places and depths.
    linked: BTreeMap<String, (PathBuf, usize)>,
    files: BTreeMap<String, usize>,
    search: &'a mut Search<'o>,
}

enum Found {
    File,
    Folder,
    /// A link to a folder.
    Linked,
}

impl<'a, 'o> Walk<'a, 'o> {
    fn new(real_root: PathBuf, search: &'a mut Search<'o>) -> Self {
        let blobs = real_root.ancestors().find(|folder| folder.ends_with("snapshots"));
        let blobs = blobs.map(|snapshots| snapshots.with_file_name("blobs"));
        let allowed = [real_root].into_iter().chain(blobs.filter(|blobs| blobs.is_dir()));
        Self {
            allowed: allowed.collect(),
            entered: HashSet::new(),
            linked: BTreeMap::new(),
            files: BTreeMap::new(),
            search,
        }
    }

    /// Lists the folder whose names begin with `prefix`.
    fn enter(&mut self, folder: &Path, prefix: &str, depth: usize) {
        // The contact sheet of a prepared folder is no image of the set that it was made from.
        if depth > 0 && folder.join(HEADER).is_file() {
            return;
        }
        if depth > MAX_DEPTH {
            let kind = ProblemKind::Unsupported(format!("more than {MAX_DEPTH} nested folders"));
            return self.search.problem(prefix, kind);
        }
        let listed = fs::canonicalize(folder).and_then(|real| Ok((real, fs::read_dir(folder)?)));
        let (real, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.search.problem(prefix, error.into()),
        };
        if !self.entered.insert(real) {
            return self.search.problem(prefix.trim_end_matches('/'), ProblemKind::Circle);
        }
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.search.problem(prefix, error.into()),
            };
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if names::is_hidden(&name) {
                continue;
            }
            if entry.file_name().to_str().is_none() {
                self.search.problem(name, ProblemKind::NotUtf8);
                continue;
            }
            match self.kind_of(&entry) {
                Ok(Found::Folder) => self.enter(&entry.path(), &format!("{name}/"), depth + 1),
                Ok(Found::Linked) => _ = self.linked.insert(name, (entry.path(), depth + 1)),
                Ok(Found::File) => _ = self.files.insert(name, 0),
                Err(kind) => self.search.problem(name, kind),
            }
        }
    }

    /// Lists linked folders, and those that are linked from there.
    fn enter_linked(&mut self) {
        while let Some((name, (folder, depth))) = self.linked.pop_first() {
            self.enter(&folder, &format!("{name}/"), depth);
        }
    }

    fn kind_of(&self, entry: &fs::DirEntry) -> Result<Found, ProblemKind> {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            return Ok(Found::Folder);
        }
        if kind.is_file() {
            return Ok(Found::File);
        }
        let target = if kind.is_symlink() { fs::canonicalize(entry.path())? } else { entry.path() };
        if kind.is_symlink() && !self.allowed.iter().any(|folder| target.starts_with(folder)) {
            return Err(ProblemKind::LinkOut);
        }
        if target.is_file() {
            Ok(Found::File)
        } else if target.is_dir() {
            Ok(Found::Linked)
        } else {
            Err(ProblemKind::Unsupported("neither file nor folder".to_owned()))
        }
    }
}

/// Reports names that come a second time.
pub(super) fn without_repeats<T>(
    records: Vec<T>,
    name: impl Fn(&T) -> &str,
    search: &mut Search<'_>,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        if seen.insert(name(&record).to_owned()) {
            kept.push(record);
        } else {
            search.problem(name(&record), ProblemKind::Duplicate);
        }
    }
    kept
}
