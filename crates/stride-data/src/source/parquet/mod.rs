//! Images in Parquet files, as Hugging Face's `datasets` writes them.
//!
//! A reader of just what such files have: columns of bytes and texts, plain, in a dictionary or with
//! delta lengths, packed with Snappy, gzip, Zstandard or not at all, pages of either version.
//! Pages are unpacked one at a time; a few that were read last stay in memory.

mod footer;
mod page;
mod thrift;
mod values;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::footer::{Chunk, Column, Footer, broken};
use self::page::{Header, Kind};
use self::values::{Dictionary, Page};
use super::captions::Captions;
use super::encoding::utf8;
use super::fields;
use super::record::{Place, Record};
use super::search::Search;
use super::shared_file::SharedFile;
use crate::ProblemKind;

/// What writers call the inside of a list.
const LIST_PARTS: [&str; 6] = ["list", "element", "item", "array", "array_element", "bag"];

/// Bytes of unpacked pages that stay in memory, the last one beside.
const CACHE_BYTES: usize = 512 << 20;

/// Pages that stay in memory, however small.
const CACHE_PAGES: usize = 64;

/// Parquet files and the pages that were read last.
pub(super) struct ParquetFiles {
    files: Vec<ParquetFile>,
    cache: Mutex<VecDeque<Arc<Cached>>>,
}

struct ParquetFile {
    file: SharedFile,
    footer: Footer,
    /// Which column holds the images.
    image: usize,
    /// The pages of images of each group; none for a group that is broken.
    pages: Vec<Vec<Header>>,
}

/// A page with its dictionary.
struct Cached {
    archive: usize,
    group: usize,
    first_row: u64,
    page: Page,
    dictionary: Arc<Dictionary>,
}

impl ParquetFiles {
    pub(super) fn new() -> Self {
        Self { files: Vec::new(), cache: Mutex::new(VecDeque::new()) }
    }

    /// Adds a file whose name within the set is `name`; its rows are the records.
    ///
    /// # Errors
    /// When nothing of it can be used; a broken group of rows is a problem.
    pub(super) fn add(
        &mut self,
        path: &Path,
        name: &str,
        search: &mut Search<'_>,
    ) -> Result<Vec<Record>, ProblemKind> {
        let file = SharedFile::open(path)?;
        let footer = footer::read(&file)?;
        let image = image_column(&footer.columns, search.image_column())?;
        let captions = caption_columns(&footer.columns, image, search);
        let mut parquet = ParquetFile { file, footer, image, pages: Vec::new() };
        let archive = self.files.len();
        let mut records = Vec::new();
        let mut first_row = 0;
        for group in 0..parquet.footer.groups.len() {
            let place = format!("{name} (group {group} of rows)");
            let rows = parquet.footer.groups[group].rows;
            match parquet.image_pages(group) {
                Ok(pages) => {
                    parquet.pages.push(pages);
                    let captions = parquet.captions(group, &captions, &place, search);
                    records.extend(captions.into_iter().zip(0..).map(|(captions, row)| {
                        let name = format!("{name}/{}", first_row + row);
                        let place = Place::Parquet { archive, group, row };
                        Record::new(name, captions.into_vec(), place)
                    }));
                }
                Err(kind) => {
                    parquet.pages.push(Vec::new());
                    search.problem(place, kind);
                }
            }
            first_row += rows;
        }
        self.files.push(parquet);
        Ok(records)
    }

    /// The image of a row.
    ///
    /// # Errors
    /// When the row has none, it is larger than `limit` bytes, or its page is broken.
    pub(super) fn read(
        &self,
        archive: usize,
        group: usize,
        row: u64,
        limit: u64,
    ) -> Result<Vec<u8>, ProblemKind> {
        let cached = self.page(archive, group, row)?;
        let entry = cached.page.entries.get((row - cached.first_row) as usize).copied();
        let bytes = entry
            .and_then(|entry| cached.page.value(entry, &cached.dictionary))
            .ok_or_else(|| broken("the row has no bytes of an image"))?;
        let found = bytes.len() as u64;
        if found > limit {
            return Err(ProblemKind::TooLarge { unit: "bytes", found, limit });
        }
        Ok(bytes.to_vec())
    }

    /// The page with a row. Threads that ask for the same page wait for one of them to unpack it.
    fn page(&self, archive: usize, group: usize, row: u64) -> Result<Arc<Cached>, ProblemKind> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let of_group = |page: &&Arc<Cached>| page.archive == archive && page.group == group;
        let has_row = |page: &&Arc<Cached>| {
            let rows = page.page.entries.len() as u64;
            of_group(page) && (page.first_row..page.first_row + rows).contains(&row)
        };
        if let Some(page) = cache.iter().find(has_row) {
            return Ok(Arc::clone(page));
        }
        let dictionary = cache.iter().find(of_group).map(|page| Arc::clone(&page.dictionary));
        let file = &self.files[archive];
        let chunk = file.footer.groups[group].chunks[file.image];
        let pages = &file.pages[group];
        let dictionary = match dictionary {
            Some(dictionary) => dictionary,
            None => Arc::new(file.dictionary(pages, chunk)?),
        };
        let mut first_row = 0;
        let mut data = pages.iter().filter(|page| page.kind != Kind::Dictionary);
        let header = data.find(|page| {
            let is_it = (first_row..first_row + page.values).contains(&row);
            first_row += if is_it { 0 } else { page.values };
            is_it
        });
        let header = header.ok_or_else(|| broken("a row without a page"))?;
        let bytes = header.body(&file.file, chunk.codec)?;
        let column = &file.footer.columns[file.image];
        let page = Page::read(header, bytes, column, &dictionary)?;
        let cached = Arc::new(Cached { archive, group, first_row, page, dictionary });
        cache.push_back(Arc::clone(&cached));
        let size = |cached: &Arc<Cached>| cached.page.size() + cached.dictionary.bytes.len();
        while cache.len() > CACHE_PAGES
            || cache.len() > 1 && cache.iter().map(size).sum::<usize>() > CACHE_BYTES
        {
            cache.pop_front();
        }
        Ok(cached)
    }
}

impl ParquetFile {
    /// The headers of the images' pages, which have a value for each row.
    fn image_pages(&self, group: usize) -> Result<Vec<Header>, ProblemKind> {
        let group = &self.footer.groups[group];
        let pages = page::headers(&self.file, group.chunks[self.image])?;
        let data = pages.iter().filter(|page| page.kind != Kind::Dictionary);
        let values = data.map(|page| page.values).sum::<u64>();
        if values == group.rows {
            Ok(pages)
        } else {
            Err(broken(format!("{} rows announced, {values} in pages", group.rows)))
        }
    }

    fn dictionary(&self, pages: &[Header], chunk: Chunk) -> Result<Dictionary, ProblemKind> {
        match pages.iter().find(|page| page.kind == Kind::Dictionary) {
            Some(header) => Dictionary::read(header, header.body(&self.file, chunk.codec)?),
            None => Ok(Dictionary::default()),
        }
    }

    /// The captions of each row of a group, from these columns.
    fn captions(
        &self,
        group: usize,
        columns: &[usize],
        place: &str,
        search: &mut Search<'_>,
    ) -> Vec<Captions> {
        let rows = self.footer.groups[group].rows;
        let mut captions: Vec<Captions> = (0..rows).map(|_| Captions::default()).collect();
        for &index in columns {
            let column = &self.footer.columns[index];
            let chunk = self.footer.groups[group].chunks[index];
            if let Err(kind) = self.read_texts(column, chunk, place, &mut captions, search) {
                search.problem(format!("{place}, column {}", column.path.join(".")), kind);
            }
        }
        captions
    }

    fn read_texts(
        &self,
        column: &Column,
        chunk: Chunk,
        place: &str,
        captions: &mut [Captions],
        search: &mut Search<'_>,
    ) -> Result<(), ProblemKind> {
        let pages = page::headers(&self.file, chunk)?;
        let dictionary = self.dictionary(&pages, chunk)?;
        let mut rows = 0;
        for header in pages.iter().filter(|page| page.kind != Kind::Dictionary) {
            let bytes = header.body(&self.file, chunk.codec)?;
            let page = Page::read(header, bytes, column, &dictionary)?;
            for &entry in &page.entries {
                rows += usize::from(entry.begins_row);
                let of_row = rows.checked_sub(1).and_then(|row| captions.get_mut(row));
                let of_row = of_row.ok_or_else(|| broken("more rows than announced"))?;
                let Some(bytes) = page.value(entry, &dictionary) else { continue };
                let name = format!("{place}, row {}", rows - 1);
                match utf8(bytes) {
                    Ok(text) => of_row.extend(&name, [text], search),
                    Err(kind) => search.problem(name, kind),
                }
            }
        }
        Ok(())
    }
}

/// The columns of captions, in their order.
fn caption_columns(columns: &[Column], image: usize, search: &mut Search<'_>) -> Vec<usize> {
    let can_be = |(index, column): &(usize, &Column)| {
        column.is_bytes && *index != image && column.max_repetition <= 1
    };
    let (places, paths): (Vec<usize>, Vec<fields::Path<'_>>) = columns
        .iter()
        .enumerate()
        .filter(can_be)
        .map(|(index, column)| (index, names_of(column)))
        .unzip();
    let chosen = fields::captions(&paths, search.caption_column());
    for index in (0..paths.len()).filter(|index| !chosen.contains(index)) {
        search.saw_field(&paths[index]);
    }
    chosen.into_iter().map(|index| places[index]).collect()
}

/// The names of a column, without what is inside of lists.
fn names_of(column: &Column) -> fields::Path<'_> {
    let is_name = |(depth, name): &(usize, &str)| *depth == 0 || !LIST_PARTS.contains(name);
    column
        .path
        .iter()
        .map(String::as_str)
        .enumerate()
        .filter(is_name)
        .map(|(_, name)| name)
        .collect()
}

/// The column that most looks like images.
fn image_column(columns: &[Column], wanted: Option<&str>) -> Result<usize, ProblemKind> {
    let rank = |column: &Column| {
        let [first, rest @ ..] = column.path.as_slice() else { return None };
        if !column.is_bytes || column.max_repetition > 0 {
            return None;
        }
        if let Some(wanted) = wanted {
            let is_inside = matches!(rest, [bytes] if bytes == "bytes") && first == wanted;
            return (is_inside || column.path.join(".") == wanted).then_some(0);
        }
        let is_named = fields::image_rank(first).is_some();
        match rest {
            [bytes] if bytes == "bytes" => Some(if is_named { 0 } else { 2 }),
            [] if !column.is_text => Some(if is_named { 1 } else { 3 }),
            _ => None,
        }
    };
    let ranked = columns.iter().enumerate().filter_map(|(index, c)| Some((rank(c)?, index)));
    ranked.min().map(|(_, index)| index).ok_or_else(|| {
        let names: Vec<String> = columns.iter().map(|column| column.path.join(".")).collect();
        ProblemKind::Unsupported(format!(
            "Parquet without a column of images: expected `{}` with bytes, found {}",
            wanted.unwrap_or("image"),
            names.join(", ")
        ))
    })
}
