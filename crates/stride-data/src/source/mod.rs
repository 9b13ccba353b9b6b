//! Everything between a user's data set on disk and the bytes of its images.

mod captions;
mod celeba;
mod encoding;
mod fields;
mod images;
mod json;
mod lines;
mod listing;
mod members;
mod names;
mod options;
mod parquet;
mod record;
mod search;
mod shared_file;
mod tar;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use self::options::{CaptionSource, SourceOptions};
use self::parquet::ParquetFiles;
use self::record::Place;
pub use self::record::{Layout, Record};
use self::search::Search;
use self::tree::{Tree, without_repeats};
use crate::{DataError, Limits, Problem, ProblemKind};

/// A data set on disk: what is in it, and the bytes of its images.
///
/// Nothing is ever written or unpacked to disk, and no archive is in memory as a whole.
pub struct Source {
    layout: Layout,
    limits: Limits,
    records: Vec<Record>,
    problems: Vec<Problem>,
    several_lines: u64,
    store: Store,
}

enum Store {
    Tree(Tree),
    Tars(Vec<PathBuf>),
    Parquet(ParquetFiles),
}

/// What the listing of a set gives.
type Listed = (Layout, Vec<Record>, Store);

impl Source {
    /// Finds out by itself what `path` is, and lists it: a folder of images with a listing, texts or
    /// CelebA's tables, a zip of one, or Parquet files or tars, one or a folder of them.
    ///
    /// Images are not opened. Records come in the order of the listing, else by name; rows of
    /// Parquet and members of tars in their order, file after file by name. Images without the captions
    /// that are asked for are left out.
    ///
    /// # Errors
    /// When the path cannot be read or nothing in it can be used; the error says what was found. When no image has
    /// such captions, or too many have none.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self, DataError> {
        let mut search = Search::new(options);
        let is_folder = path.metadata().map_err(DataError::io(path))?.is_dir();
        let (layout, records, store) =
            if is_folder { open_folder(path, &mut search)? } else { open_file(path, &mut search)? };
        let records = without_repeats(records, |record| &record.name, &mut search);
        if records.is_empty() {
            let problem = match search.problems.first() {
                Some(first) => format!("no usable image; the first problem is {first}"),
                None => "no image".to_owned(),
            };
            return Err(DataError::BrokenSet { path: path.to_owned(), problem });
        }
        let records = search.captioned(records, path)?;
        let Search { problems, several_lines, .. } = search;
        tracing::debug!(
            path = %path.display(), %layout, records = records.len(), problems = problems.len(),
            "listed a data set"
        );
        Ok(Self { layout, limits: options.limits, records, problems, several_lines, store })
    }

    /// The images, in an order that is the same on every machine.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What listing the set left out, and what it could not match.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Texts with several lines, each of which is a caption of its own.
    pub fn several_lines(&self) -> u64 {
        self.several_lines
    }

    /// What the set was taken for.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The encoded bytes of the image of [`records`](Self::records) at `index`, for
    /// [`decode`](crate::decode). Many threads may ask at once.
    ///
    /// # Errors
    /// When the bytes cannot be read, are broken or exceed a limit.
    ///
    /// # Panics
    /// When there is no such record.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, Problem> {
        let record = &self.records[index];
        let limit = self.limits.max_file_bytes;
        let read = match (&self.store, record.place) {
            (Store::Tree(tree), _) => tree.read(&record.name, limit),
            (Store::Tars(paths), Place::Tar { archive, offset, size }) => {
                tar::read(&paths[archive], offset, size)
            }
            (Store::Parquet(files), Place::Parquet { archive, group, row }) => {
                files.read(archive, group, row, limit)
            }
            _ => Err(ProblemKind::Io("no place in this set".to_owned())),
        };
        read.map_err(|kind| Problem::new(&record.name, kind))
    }

    /// How many bytes the image at `index` has.
    pub(crate) fn size(&self, index: usize) -> Result<u64, Problem> {
        let record = &self.records[index];
        match (&self.store, record.place) {
            (Store::Tree(tree), _) => {
                tree.size(&record.name).map_err(|kind| Problem::new(&record.name, kind))
            }
            (_, Place::Tar { size, .. }) => Ok(size),
            _ => self.read(index).map(|bytes| bytes.len() as u64),
        }
    }

    /// Whether the image at `index` is there.
    pub(crate) fn is_there(&self, index: usize) -> bool {
        match &self.store {
            Store::Tree(tree) => tree.contains(&self.records[index].name),
            _ => true,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Source");
        text.field("layout", &self.layout).field("records", &self.records.len());
        text.finish_non_exhaustive()
    }
}

fn open_folder(path: &Path, search: &mut Search<'_>) -> Result<Listed, DataError> {
    let tree = Tree::folder(path, search)?;
    let with_ending = |ending: &str| -> Vec<(PathBuf, String)> {
        let found = tree.names().filter(|name| names::has_ending(name, ending));
        found.map(|name| (path.join(name), name.to_owned())).collect()
    };
    if listing::find(&tree).is_empty() {
        let tars = with_ending("tar");
        if !tars.is_empty() {
            note_images_beside(&tree, "tars", search);
            return Ok(open_tars(tars, search));
        }
        // img2dataset writes tables without images beside the images.
        let has_images = tree.names().any(names::is_image);
        let parquet = with_ending("parquet");
        if !parquet.is_empty() {
            let known = search.problems.len();
            let opened = open_parquet(&parquet, search);
            if !opened.1.is_empty() || !has_images {
                note_images_beside(&tree, "Parquet files", search);
                return Ok(opened);
            }
            let is_table = |p: &Problem| matches!(p.kind, ProblemKind::Unsupported(_));
            let found = search.problems.split_off(known);
            search.problems.extend(found.into_iter().filter(|problem| !is_table(problem)));
        }
        if !has_images && search.problems.is_empty() {
            let found = summary(&tree);
            return Err(DataError::UnknownLayout { path: path.to_owned(), found });
        }
    }
    let (layout, records) = images::records(&tree, search);
    Ok((layout, records, Store::Tree(tree)))
}

fn note_images_beside(tree: &Tree, archives: &'static str, search: &mut Search<'_>) {
    for name in tree.names().filter(|name| names::is_image(name)) {
        search.problem(name, ProblemKind::BesideArchives(archives));
    }
}

fn open_file(path: &Path, search: &mut Search<'_>) -> Result<Listed, DataError> {
    let mut head = Vec::new();
    let file = stride_files::open_file(path).map_err(DataError::io(path))?;
    file.take(512).read_to_end(&mut head).map_err(DataError::io(path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = vec![(path.to_owned(), name.clone())];
    if head.starts_with(b"PAR1") {
        Ok(open_parquet(&files, search))
    } else if head.starts_with(b"PK") {
        let tree = Tree::zip(path, search)?;
        let (layout, records) = images::records(&tree, search);
        Ok((layout, records, Store::Tree(tree)))
    } else if head.get(257..262) == Some(b"ustar") || names::has_ending(&name, "tar") {
        Ok(open_tars(files, search))
    } else {
        let found = match head.as_slice() {
            [0x1f, 0x8b, ..] => "a file packed with gzip; unpack it first".to_owned(),
            [] => "an empty file".to_owned(),
            head => format!("a file that begins \"{}\"", head[..head.len().min(8)].escape_ascii()),
        };
        Err(DataError::UnknownLayout { path: path.to_owned(), found })
    }
}

fn open_parquet(paths: &[(PathBuf, String)], search: &mut Search<'_>) -> Listed {
    let mut files = ParquetFiles::new();
    let mut records = Vec::new();
    for (path, name) in paths {
        match files.add(path, name, search) {
            Ok(found) => records.extend(found),
            Err(kind) => search.problem(name, kind),
        }
    }
    (Layout::Parquet, records, Store::Parquet(files))
}

fn open_tars(paths: Vec<(PathBuf, String)>, search: &mut Search<'_>) -> Listed {
    let mut records = Vec::new();
    for (archive, (path, name)) in paths.iter().enumerate() {
        match tar::records(path, name, archive, search) {
            Ok(found) => records.extend(found),
            Err(kind) => search.problem(name, kind),
        }
    }
    let paths = paths.into_iter().map(|(path, _)| path).collect();
    (Layout::WebDataset, records, Store::Tars(paths))
}

/// How many files of which endings there are.
fn summary(tree: &Tree) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in tree.names() {
        let ending = names::base(name).rsplit_once('.').map_or("no ending", |(_, ending)| ending);
        *counts.entry(ending.to_lowercase()).or_default() += 1;
    }
    if counts.is_empty() {
        return "an empty folder".to_owned();
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts = counts.iter().take(6).map(|(ending, count)| format!("{count} .{ending}"));
    format!("a folder with {}", counts.collect::<Vec<_>>().join(", "))
}
