//! Images in tars, as WebDataset and img2dataset write them.
//!
//! Members belong together by their names ([`members`]): `a/0.jpg`, `a/0.txt`, `a/0.json`. The tar is read once for
//! the places of its members; later one member is read alone.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use tar::{Archive, Entry, EntryType};

use super::captions::Captions;
use super::images::texts_of;
use super::members::{self, Wanted};
use super::names;
use super::record::{Place, Record};
use super::search::Search;
use crate::ProblemKind;

/// Bytes that the headers of one member may take: long names are written before it.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The images of a tar whose name within the set is `name`, in the order of the tar.
///
/// # Errors
/// When the file cannot be opened. What comes before a break is used, and the break is a problem.
pub(super) fn records(
    path: &Path,
    name: &str,
    archive: usize,
    search: &mut Search<'_>,
) -> Result<Vec<Record>, ProblemKind> {
    let file = stride_files::open_file(path)?;
    let length = file.metadata()?.len();
    let allowance = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let mut tar = Archive::new(Bounded { file, allowance: Rc::clone(&allowance) });
    let mut members = Members { tar: name, length, images: Vec::new(), texts: Vec::new() };
    for entry in tar.entries_with_seek()? {
        let took = entry.map_err(ProblemKind::from).and_then(|entry| {
            let of_text = search.options.limits.max_text_bytes();
            allowance.set(of_text.saturating_add(MAX_HEADER_BYTES));
            members.take(entry, search)
        });
        allowance.set(MAX_HEADER_BYTES);
        if let Err(kind) = took {
            search.problem(name, kind);
            break;
        }
    }
    Ok(members.into_records(archive, search))
}

/// The bytes of a member.
///
/// # Errors
/// When they are not there.
pub(super) fn read(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>, ProblemKind> {
    let mut file = stride_files::open_file(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(ProblemKind::Corrupt("the tar ends too early".to_owned()));
    }
    Ok(bytes)
}

struct Members<'a> {
    tar: &'a str,
    length: u64,
    /// Names, places and lengths.
    images: Vec<(String, u64, u64)>,
    /// Names and texts.
    texts: Vec<(String, Vec<String>)>,
}

impl Members<'_> {
    /// Notes an image or reads a text.
    ///
    /// # Errors
    /// When nothing after the member can be trusted; other problems are reported.
    fn take<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        search: &mut Search<'_>,
    ) -> Result<(), ProblemKind> {
        let raw = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let shown = format!("{}/{}", self.tar, String::from_utf8_lossy(&raw));
        if matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            return Ok(());
        }
        let name = match check(&raw, kind) {
            Ok(name) => name,
            Err(kind) => {
                search.problem(shown, kind);
                return Ok(());
            }
        };
        if names::is_hidden(&name) {
            return Ok(());
        }
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            search.problem(shown, ProblemKind::Corrupt("cut off".to_owned()));
            return Err(ProblemKind::Corrupt("the tar ends too early".to_owned()));
        }
        let limits = &search.options.limits;
        let (is_text, is_image) =
            (members::is_text(&name, search.caption_column()), names::is_image(&name));
        let limit = if is_text { limits.max_text_bytes() } else { limits.max_file_bytes };
        if (is_text || is_image) && size > limit {
            search.problem(shown, ProblemKind::TooLarge { unit: "bytes", found: size, limit });
        } else if is_text {
            let mut bytes = Vec::new();
            let read = (&mut entry).take(limit).read_to_end(&mut bytes);
            match read.map_err(ProblemKind::from).and_then(|_| texts_of(&name, &bytes, search)) {
                Ok(texts) => self.texts.push((name, texts)),
                Err(kind) => search.problem(shown, kind),
            }
        } else if is_image {
            self.images.push((name, offset, size));
        } else if let Some(ending) = names::other_image(&name) {
            search.problem(shown, ProblemKind::OtherFormat(ending));
        } else {
            let base = names::base(&name);
            search.saw_member(base.rsplit_once('.').map_or(base, |(_, ending)| ending));
        }
        Ok(())
    }

    fn into_records(self, archive: usize, search: &mut Search<'_>) -> Vec<Record> {
        let images: Vec<&str> = self.images.iter().map(|(name, ..)| name.as_str()).collect();
        let texts: Vec<&str> = self.texts.iter().map(|(name, _)| name.as_str()).collect();
        let wanted = Wanted { captions: search.caption_column(), image: search.image_column() };
        let groups = members::group_all(&images, &texts, wanted);
        let full = |name: &str| format!("{}/{name}", self.tar);
        for (index, other) in groups.others {
            search.problem(full(images[index]), other.problem(|used| full(images[used])));
        }
        for index in groups.orphans {
            search.problem(full(texts[index]), ProblemKind::NoImage);
        }
        let mut records = Vec::with_capacity(groups.images.len());
        for (image, of_image) in groups.images {
            let mut captions = Captions::default();
            for (name, texts) in of_image.into_iter().map(|index| &self.texts[index]) {
                captions.extend(&full(name), texts.iter().map(String::as_str), search);
            }
            let (name, offset, size) = &self.images[image];
            let place = Place::Tar { archive, offset: *offset, size: *size };
            records.push(Record::new(full(name), captions.into_vec(), place));
        }
        records
    }
}

/// The name of a member that is a plain file inside.
fn check(raw: &[u8], kind: EntryType) -> Result<String, ProblemKind> {
    match kind {
        EntryType::Regular | EntryType::Continuous => {}
        EntryType::Symlink | EntryType::Link => return Err(ProblemKind::Link),
        kind => {
            return Err(ProblemKind::Unsupported(format!("a tar member of kind {kind:?}")));
        }
    }
    names::clean(std::str::from_utf8(raw).map_err(|_| ProblemKind::NotUtf8)?)
}

/// A file that stops handing out bytes when the allowance for one member is used up, since the
/// reader of tars takes names of any length into memory.
struct Bounded {
    file: File,
    allowance: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.get();
        if left == 0 && !out.is_empty() {
            let problem = format!("a member's header has more than {MAX_HEADER_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.file.read(&mut out[..most])?;
        self.allowance.set(left - count as u64);
        Ok(count)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
