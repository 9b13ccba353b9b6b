//! Images in tars, as WebDataset and img2dataset write them.
//!
//! Members with one name up to the first dot of its last part belong together: `a/0.jpg`, `a/0.txt`,
//! `a/0.json`. The tar is read once for the places of its members; later one member is read alone.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;
use tar::{Archive, Entry, EntryType};

use super::captions::{Captions, texts, utf8};
use super::names;
use super::record::{Place, Record};
use crate::{Limits, Problem, ProblemKind};

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
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Record>, ProblemKind> {
    let file = stride_files::open_file(path)?;
    let length = file.metadata()?.len();
    let allowance = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let mut tar = Archive::new(Bounded { file, allowance: Rc::clone(&allowance) });
    let mut members = Members { tar: name, archive, length, limits, records: Vec::new() };
    let mut groups = HashMap::new();
    for entry in tar.entries_with_seek()? {
        let took = entry.map_err(ProblemKind::from).and_then(|entry| {
            allowance.set(limits.max_text_bytes().saturating_add(MAX_HEADER_BYTES));
            members.take(entry, &mut groups, problems)
        });
        allowance.set(MAX_HEADER_BYTES);
        if let Err(kind) = took {
            problems.push(Problem::new(name, kind));
            break;
        }
    }
    Ok(members.with_captions(groups, problems))
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

/// What the text files of a group say.
#[derive(Default)]
struct Group {
    /// Of the `.txt`.
    lines: Vec<String>,
    /// Of the `.json`.
    members: Vec<String>,
}

struct Members<'a> {
    tar: &'a str,
    archive: usize,
    length: u64,
    limits: &'a Limits,
    records: Vec<Record>,
}

impl Members<'_> {
    /// Notes an image or reads a text.
    ///
    /// # Errors
    /// When nothing after the member can be trusted; other problems are reported.
    fn take<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        groups: &mut HashMap<String, Group>,
        problems: &mut Vec<Problem>,
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
                problems.push(Problem::new(shown, kind));
                return Ok(());
            }
        };
        if names::is_hidden(&name) {
            return Ok(());
        }
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            problems.push(Problem::new(shown, ProblemKind::Corrupt("cut off".to_owned())));
            return Err(ProblemKind::Corrupt("the tar ends too early".to_owned()));
        }
        let (key, ending) = split(&name);
        let is_json = ending.eq_ignore_ascii_case("json");
        if is_json || ending.eq_ignore_ascii_case("txt") {
            let read = self.text(&mut entry, size).and_then(|bytes| {
                let text = utf8(&bytes)?;
                Ok(if is_json { json_captions(text)? } else { lines(text) })
            });
            let group = groups.entry(key.to_owned()).or_default();
            match read {
                Ok(captions) if is_json => group.members = captions,
                Ok(captions) => group.lines = captions,
                Err(kind) => problems.push(Problem::new(shown, kind)),
            }
        } else if names::is_image(&format!("a.{ending}")) {
            let limit = self.limits.max_file_bytes;
            if size > limit {
                let kind = ProblemKind::TooLarge { unit: "bytes", found: size, limit };
                problems.push(Problem::new(shown, kind));
                return Ok(());
            }
            self.records.push(Record {
                name: format!("{}/{name}", self.tar),
                captions: Vec::new(),
                attributes: None,
                place: Place::Tar { archive: self.archive, offset, size },
            });
        }
        Ok(())
    }

    fn text<R: Read>(&self, entry: &mut Entry<'_, R>, size: u64) -> Result<Vec<u8>, ProblemKind> {
        let limit = self.limits.max_text_bytes();
        if size > limit {
            return Err(ProblemKind::TooLarge { unit: "bytes", found: size, limit });
        }
        let mut bytes = Vec::new();
        entry.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn with_captions(
        self,
        groups: HashMap<String, Group>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Record> {
        let mut records = self.records;
        for record in &mut records {
            let (key, _) = split(&record.name[self.tar.len() + 1..]);
            let mut captions = Captions::new(self.limits);
            if let Some(group) = groups.get(key) {
                let found = group.lines.iter().chain(&group.members).map(String::as_str);
                captions.extend(&record.name, found, problems);
            }
            record.captions = captions.into_vec();
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

/// Key and ending: what comes before and after the first dot of the last part.
fn split(name: &str) -> (&str, &str) {
    let start = names::folder(name).len();
    match name[start..].find('.') {
        Some(at) => (&name[..start + at], &name[start + at + 1..]),
        None => (name, ""),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn json_captions(text: &str) -> Result<Vec<String>, ProblemKind> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ProblemKind::Corrupt(error.to_string()))?;
    let found = value.get("caption").map(texts).unwrap_or_default();
    Ok(found.into_iter().map(str::to_owned).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot() {
        assert_eq!(split("a.b/0.seg.png"), ("a.b/0", "seg.png"));
        assert_eq!(split("0"), ("0", ""));
    }

    #[test]
    fn captions_lie_in_json() {
        assert_eq!(
            json_captions("{\"caption\":\"one\",\"url\":\"x\"}"),
            Ok(vec!["one".to_owned()])
        );
        assert_eq!(json_captions("{\"caption\":[\"one\",\"two\"]}").map(|c| c.len()), Ok(2));
        assert_eq!(json_captions("{}"), Ok(Vec::new()));
        assert!(matches!(json_captions("{"), Err(ProblemKind::Corrupt(_))));
    }
}
