//! Pages: the pieces in which the values of a column are compressed.
//!
//! Source: Apache Parquet, `parquet.thrift` (PageHeader) and `Compression.md`.

use std::io::Read;

use super::footer::{Chunk, broken};
use super::thrift::{Value, read_struct};
use crate::ProblemKind;
use crate::source::shared_file::SharedFile;

/// Bytes of a page, unpacked: writers put up to a thousand images into one.
const MAX_PAGE_BYTES: u64 = 1 << 30;

/// Values of a page: writers put at most some ten thousand into one.
const MAX_PAGE_VALUES: u64 = 1 << 22;

/// Bytes of a header at first, and where there are more.
const HEADER_BYTES: [u64; 2] = [1 << 10, 1 << 20];

/// Where a page lies and what it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Where its bytes begin, and how many there are, packed and unpacked.
    body: u64,
    packed: u64,
    unpacked: u64,
    /// Number of values, absent ones too.
    pub(super) values: u64,
    pub(super) encoding: i64,
}

/// The three kinds of pages; others are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dictionary,
    Data,
    /// Version 2: levels lie before what is packed.
    Data2 {
        repetition: u64,
        definition: u64,
        is_packed: bool,
    },
}

/// The headers of a chunk, in their order.
///
/// # Errors
/// When one is unreadable or announces more than there is room for.
pub(super) fn headers(file: &SharedFile, chunk: Chunk) -> Result<Vec<Header>, ProblemKind> {
    let mut headers = Vec::new();
    let mut at = chunk.offset;
    while at < chunk.end {
        let (header, next) = header(file, at, chunk)?;
        headers.extend(header);
        at = next;
    }
    Ok(headers)
}

fn header(file: &SharedFile, at: u64, chunk: Chunk) -> Result<(Option<Header>, u64), ProblemKind> {
    let mut bytes = Vec::new();
    for size in HEADER_BYTES {
        bytes.resize((chunk.end - at).min(size) as usize, 0);
        file.read_exact_at(at, &mut bytes)?;
        if let Some((fields, length)) = read_struct(&bytes) {
            let body = at + length as u64;
            let header = understand(&fields, body);
            let (kind, header) = header.ok_or_else(|| broken("an unreadable page header"))?;
            let end = body.checked_add(header.packed).filter(|&end| end <= chunk.end);
            let end = end.ok_or_else(|| broken("a page that is longer than its column"))?;
            if header.unpacked > MAX_PAGE_BYTES {
                let (found, limit) = (header.unpacked, MAX_PAGE_BYTES);
                return Err(ProblemKind::TooLarge { unit: "bytes of a page", found, limit });
            }
            if header.values > MAX_PAGE_VALUES {
                let (found, limit) = (header.values, MAX_PAGE_VALUES);
                return Err(ProblemKind::TooLarge { unit: "values of a page", found, limit });
            }
            return Ok((kind.map(|kind| Header { kind, ..header }), end));
        }
    }
    Err(broken("an unreadable page header"))
}

/// The kind, if it is one of ours, and the rest.
fn understand(fields: &Value<'_>, body: u64) -> Option<(Option<Kind>, Header)> {
    let number = |of: &Value<'_>, id| of.int(id).and_then(|value| u64::try_from(value).ok());
    let (unpacked, packed) = (number(fields, 2)?, number(fields, 3)?);
    let mut header = Header { kind: Kind::Data, body, packed, unpacked, values: 0, encoding: 0 };
    let kind = match fields.int(1)? {
        0 => {
            let data = fields.field(5)?;
            (header.values, header.encoding) = (number(data, 1)?, data.int(2)?);
            Some(Kind::Data)
        }
        2 => {
            let dictionary = fields.field(7)?;
            (header.values, header.encoding) = (number(dictionary, 1)?, dictionary.int(2)?);
            Some(Kind::Dictionary)
        }
        3 => {
            let data = fields.field(8)?;
            (header.values, header.encoding) = (number(data, 1)?, data.int(4)?);
            let is_packed = !matches!(data.field(7), Some(Value::Bool(false)));
            Some(Kind::Data2 {
                definition: number(data, 5)?,
                repetition: number(data, 6)?,
                is_packed,
            })
        }
        _ => None,
    };
    Some((kind, header))
}

impl Header {
    /// The unpacked bytes of the page.
    ///
    /// # Errors
    /// When they cannot be read, are packed in a way that is not read, or unpack to another size.
    pub(super) fn body(&self, file: &SharedFile, codec: i64) -> Result<Vec<u8>, ProblemKind> {
        // At most what the file has, as `headers` has checked.
        let mut packed = vec![0; self.packed as usize];
        file.read_exact_at(self.body, &mut packed)?;
        let (levels, codec) = match self.kind {
            Kind::Data2 { repetition, definition, is_packed } => {
                (repetition.saturating_add(definition), if is_packed { codec } else { 0 })
            }
            _ => (0, codec),
        };
        if levels > self.packed || levels > self.unpacked {
            return Err(broken("a page whose levels are longer than it"));
        }
        let size = self.unpacked - levels;
        let values = unpack(&packed[levels as usize..], size, codec)?;
        if levels == 0 {
            return Ok(values);
        }
        packed.truncate(levels as usize);
        packed.extend(values);
        Ok(packed)
    }
}

fn unpack(packed: &[u8], size: u64, codec: i64) -> Result<Vec<u8>, ProblemKind> {
    let unpacked = match codec {
        0 => packed.to_vec(),
        1 => {
            // 64 bytes come from two at best, and what is announced gets memory.
            let length = snap::raw::decompress_len(packed).unwrap_or(usize::MAX) as u64;
            if length != size || length > packed.len() as u64 * 32 + 64 {
                return Err(broken("a page that unpacks to another size"));
            }
            let unpacked = snap::raw::Decoder::new().decompress_vec(packed);
            unpacked.map_err(|error| broken(error.to_string()))?
        }
        2 => read_to(flate2::read::MultiGzDecoder::new(packed), size)?,
        6 if packed.is_empty() => Vec::new(),
        6 => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(packed);
            read_to(decoder.map_err(|error| broken(error.to_string()))?, size)?
        }
        other => {
            let name = match other {
                3 => "LZO",
                4 => "Brotli",
                5 | 7 => "LZ4",
                _ => "an unknown codec",
            };
            let problem = format!(
                "Parquet packed with {name}; expected Snappy, gzip, Zstandard or none: write it anew"
            );
            return Err(ProblemKind::Unsupported(problem));
        }
    };
    if unpacked.len() as u64 != size {
        return Err(broken("a page that unpacks to another size"));
    }
    Ok(unpacked)
}

/// At most one byte more than announced.
fn read_to(reader: impl Read, size: u64) -> Result<Vec<u8>, ProblemKind> {
    let mut bytes = Vec::new();
    let read = reader.take(size + 1).read_to_end(&mut bytes);
    read.map_err(|error| broken(error.to_string()))?;
    Ok(bytes)
}
