//! The metadata at the end of a Parquet file: its columns, and where each group of rows lies.
//!
//! Source: Apache Parquet, `parquet.thrift` (FileMetaData and what it holds).

use super::thrift::{Value, read_struct};
use crate::ProblemKind;
use crate::source::shared_file::SharedFile;

const MAGIC: &[u8; 4] = b"PAR1";

/// Bytes of the largest metadata that is read.
const MAX_FOOTER_BYTES: u64 = 64 << 20;

/// The type of columns that hold bytes or texts.
const BYTE_ARRAY: i64 = 6;

/// What the end of a file says.
pub(super) struct Footer {
    pub(super) columns: Vec<Column>,
    pub(super) groups: Vec<Group>,
}

/// A column of values; structures and lists have been taken apart.
#[derive(Debug)]
pub(super) struct Column {
    /// Names from the outermost on: `image`, `bytes`.
    pub(super) path: Vec<String>,
    /// Whether it holds bytes or texts, and whether texts.
    pub(super) is_bytes: bool,
    pub(super) is_text: bool,
    /// The definition level of a value that is there, and the repetition level of one in the
    /// innermost list.
    pub(super) max_definition: u8,
    pub(super) max_repetition: u8,
}

/// Some of the rows.
pub(super) struct Group {
    pub(super) rows: u64,
    pub(super) chunks: Vec<Chunk>,
}

/// The values of a column in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    pub(super) offset: u64,
    pub(super) end: u64,
}

/// Reads the metadata.
///
/// # Errors
/// When the file is no Parquet, is cut off, or contradicts itself.
pub(super) fn read(file: &SharedFile) -> Result<Footer, ProblemKind> {
    let length = file.length();
    let mut tail = [0; 8];
    let tail_at = length.checked_sub(8).filter(|&at| at >= 4);
    let tail_at = tail_at.ok_or_else(|| broken("shorter than any Parquet file"))?;
    file.read_exact_at(tail_at, &mut tail)?;
    if &tail[4..] != MAGIC {
        return Err(broken("the file does not end in `PAR1`; it is cut off or not Parquet"));
    }
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if size > MAX_FOOTER_BYTES {
        return Err(ProblemKind::TooLarge {
            unit: "bytes of metadata",
            found: size,
            limit: MAX_FOOTER_BYTES,
        });
    }
    let start = tail_at.checked_sub(size).filter(|&at| at >= 4);
    let start = start.ok_or_else(|| broken("its metadata is longer than the file"))?;
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(start, &mut bytes)?;
    let (metadata, _) = read_struct(&bytes).ok_or_else(|| broken("unreadable metadata"))?;
    let columns = columns(metadata.list(2).unwrap_or_default())?;
    let groups: Vec<Group> = metadata
        .list(4)
        .unwrap_or_default()
        .iter()
        .map(|group| read_group(group, columns.len(), start))
        .collect::<Option<_>>()
        .ok_or_else(|| broken("a group of rows without a place in the file"))?;
    // A row takes some bytes, or at least some bits of many levels: more are a lie.
    let rows = groups.iter().fold(0u64, |sum, group| sum.saturating_add(group.rows));
    if rows > length {
        return Err(broken("more rows than bytes"));
    }
    Ok(Footer { columns, groups })
}

pub(super) fn broken(problem: impl Into<String>) -> ProblemKind {
    ProblemKind::Corrupt(problem.into())
}

/// Takes the tree of columns apart, which is written in depth-first order.
fn columns(elements: &[Value<'_>]) -> Result<Vec<Column>, ProblemKind> {
    let mut rest = elements.iter();
    let root = rest.next().ok_or_else(|| broken("no columns"))?;
    let mut columns = Vec::new();
    let mut inside = Inside { path: Vec::new(), definition: 0, repetition: 0 };
    let children = root.int(5).unwrap_or(0);
    for _ in 0..children {
        inside.take(&mut rest, &mut columns)?;
    }
    Ok(columns)
}

struct Inside {
    path: Vec<String>,
    definition: u8,
    repetition: u8,
}

impl Inside {
    fn take<'a, 'v: 'a>(
        &mut self,
        rest: &mut impl Iterator<Item = &'a Value<'v>>,
        columns: &mut Vec<Column>,
    ) -> Result<(), ProblemKind> {
        const MAX_DEPTH: usize = 16;
        let element = rest.next().ok_or_else(|| broken("fewer columns than announced"))?;
        let name = element.text(4).ok_or_else(|| broken("a column without a name"))?;
        if self.path.len() >= MAX_DEPTH {
            return Err(broken(format!("columns more than {MAX_DEPTH} deep")));
        }
        let (is_optional, is_repeated) = match element.int(3) {
            Some(1) => (true, false),
            Some(2) => (false, true),
            _ => (false, false),
        };
        self.path.push(name.to_owned());
        self.definition += u8::from(is_optional || is_repeated);
        self.repetition += u8::from(is_repeated);
        match element.int(5).filter(|&children| children > 0) {
            Some(children) => {
                for _ in 0..children {
                    self.take(rest, columns)?;
                }
            }
            None => columns.push(Column {
                path: self.path.clone(),
                is_bytes: element.int(1) == Some(BYTE_ARRAY),
                is_text: element.int(6) == Some(0)
                    || element.field(10).is_some_and(|kind| kind.field(1).is_some()),
                max_definition: self.definition,
                max_repetition: self.repetition,
            }),
        }
        self.path.pop();
        self.definition -= u8::from(is_optional || is_repeated);
        self.repetition -= u8::from(is_repeated);
        Ok(())
    }
}

fn read_group(group: &Value<'_>, columns: usize, data_end: u64) -> Option<Group> {
    let chunks: Vec<Chunk> = group
        .list(1)?
        .iter()
        .map(|chunk| read_chunk(chunk.field(3)?, data_end))
        .collect::<Option<_>>()?;
    let rows = u64::try_from(group.int(3)?).ok()?;
    (chunks.len() == columns).then_some(Group { rows, chunks })
}

fn read_chunk(metadata: &Value<'_>, data_end: u64) -> Option<Chunk> {
    let place = |id| metadata.int(id).and_then(|at| u64::try_from(at).ok());
    let data = place(9)?;
    // Writers without a dictionary may say 0.
    let offset = place(11).filter(|&at| at > 0).map_or(data, |dictionary| dictionary.min(data));
    let end = offset.checked_add(place(7)?)?;
    (end <= data_end).then_some(Chunk { codec: metadata.int(4)?, offset, end })
}
