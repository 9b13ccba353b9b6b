//! The values of a page: which are there, to which row each belongs, and where its bytes lie.
//!
//! Source: Apache Parquet, `Encodings.md`; Dremel's levels say what is absent and what is a list.

use super::footer::{Column, broken};
use super::page::{Header, Kind};
use crate::ProblemKind;

/// Byte strings in one buffer.
#[derive(Default)]
pub(super) struct Dictionary {
    pub(super) bytes: Vec<u8>,
    slices: Vec<Slice>,
}

#[derive(Clone, Copy)]
struct Slice {
    start: u32,
    length: u32,
}

/// A value or its absence.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Whether a row begins with it.
    pub(super) begins_row: bool,
    place: Option<Placed>,
}

#[derive(Clone, Copy)]
enum Placed {
    Page(Slice),
    Dictionary(u32),
}

/// A page of values, with the bytes that hold them.
pub(super) struct Page {
    bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

impl Dictionary {
    /// Reads the dictionary of a chunk.
    ///
    /// # Errors
    /// When the bytes hold fewer values than announced.
    pub(super) fn read(header: &Header, bytes: Vec<u8>) -> Result<Self, ProblemKind> {
        let slices = plain(&bytes, 0, header.values)?;
        Ok(Self { bytes, slices })
    }
}

impl Page {
    /// Reads a page of data.
    ///
    /// # Errors
    /// When the bytes contradict the header, or values are written in a way that is not read.
    pub(super) fn read(
        header: &Header,
        bytes: Vec<u8>,
        column: &Column,
        dictionary: &Dictionary,
    ) -> Result<Self, ProblemKind> {
        let count = header.values as usize;
        let (repetition, definition, start) = levels(header, &bytes, column)?;
        let present = match &definition {
            Some(levels) => {
                levels.iter().filter(|&&l| l == u32::from(column.max_definition)).count()
            }
            None => count,
        };
        let values: Vec<Placed> = match header.encoding {
            0 => plain(&bytes, start, present as u64)?.into_iter().map(Placed::Page).collect(),
            2 | 8 => {
                let indices = match bytes.get(start) {
                    Some(&width) => hybrid(&bytes[start + 1..], u32::from(width), present)?,
                    None if present == 0 => Vec::new(),
                    None => return Err(short()),
                };
                let known = dictionary.slices.len();
                if indices.iter().any(|&index| index as usize >= known) {
                    return Err(broken("a value that its dictionary lacks"));
                }
                indices.into_iter().map(Placed::Dictionary).collect()
            }
            6 => delta_lengths(&bytes, start, present)?.into_iter().map(Placed::Page).collect(),
            other => {
                let problem = format!(
                    "Parquet values in encoding {other}; expected plain, dictionary or \
                     delta-length: write it anew"
                );
                return Err(ProblemKind::Unsupported(problem));
            }
        };
        let mut values = values.into_iter();
        let entries = (0..count)
            .map(|index| {
                let is_there = definition
                    .as_ref()
                    .is_none_or(|levels| levels[index] == u32::from(column.max_definition));
                let begins_row = repetition.as_ref().is_none_or(|levels| levels[index] == 0);
                Entry { begins_row, place: if is_there { values.next() } else { None } }
            })
            .collect();
        Ok(Self { bytes, entries })
    }

    /// The bytes of an entry; nothing if it is absent.
    pub(super) fn value<'a>(
        &'a self,
        entry: Entry,
        dictionary: &'a Dictionary,
    ) -> Option<&'a [u8]> {
        let (bytes, slice) = match entry.place? {
            Placed::Page(slice) => (&self.bytes, slice),
            Placed::Dictionary(index) => {
                (&dictionary.bytes, *dictionary.slices.get(index as usize)?)
            }
        };
        bytes.get(slice.start as usize..)?.get(..slice.length as usize)
    }

    /// Bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }
}

type Levels = Option<Vec<u32>>;

/// Repetition and definition levels where the column has them, and where values begin.
fn levels(
    header: &Header,
    bytes: &[u8],
    column: &Column,
) -> Result<(Levels, Levels, usize), ProblemKind> {
    let count = header.values as usize;
    let mut at = 0;
    let mut read = |max: u8, length: Option<u64>| {
        let length = match length {
            Some(length) => length as usize,
            None if max == 0 => 0,
            None => {
                at += 4;
                u32_at(bytes, at - 4).ok_or_else(short)? as usize
            }
        };
        let end = at.checked_add(length).ok_or_else(short)?;
        let encoded = bytes.get(at..end).ok_or_else(short)?;
        at = end;
        if max == 0 {
            return Ok(None);
        }
        hybrid(encoded, u8::BITS - max.leading_zeros(), count).map(Some)
    };
    let (first, second) = match header.kind {
        Kind::Data2 { repetition, definition, .. } => (Some(repetition), Some(definition)),
        _ => (None, None),
    };
    let repetition = read(column.max_repetition, first)?;
    let definition = read(column.max_definition, second)?;
    Ok((repetition, definition, at))
}

fn short() -> ProblemKind {
    broken("a page with fewer values than announced")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

/// Lengths of four bytes, each before its value.
fn plain(bytes: &[u8], start: usize, count: u64) -> Result<Vec<Slice>, ProblemKind> {
    let mut at = start;
    let mut slices = Vec::new();
    for _ in 0..count {
        let length = u32_at(bytes, at).ok_or_else(short)?;
        let end = at.checked_add(4 + length as usize).filter(|&end| end <= bytes.len());
        let end = end.ok_or_else(short)?;
        slices.push(Slice { start: at as u32 + 4, length });
        at = end;
    }
    Ok(slices)
}

/// Runs of one number, and groups of eight numbers of `width` bits.
fn hybrid(bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>, ProblemKind> {
    if width > 32 {
        return Err(broken("numbers of more than 32 bits"));
    }
    let mut values = Vec::new();
    let mut at = 0;
    while values.len() < count {
        let missing = count - values.len();
        if width == 0 {
            values.resize(count, 0);
            break;
        }
        let head = varint(bytes, &mut at).ok_or_else(short)?;
        let run = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        if head & 1 == 0 {
            let length = width.div_ceil(8) as usize;
            let number = bytes.get(at..at + length).ok_or_else(short)?;
            at += length;
            let value = number.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            values.resize(values.len() + run.min(missing), value);
            if run == 0 {
                return Err(broken("a run of nothing"));
            }
        } else {
            let packed = &bytes[at.min(bytes.len())..];
            let number = run.saturating_mul(8).min(missing);
            unpack_bits(packed, width, number, &mut values).ok_or_else(short)?;
            at = at.saturating_add(run.saturating_mul(width as usize));
            if run == 0 {
                return Err(broken("a group of nothing"));
            }
        }
    }
    Ok(values)
}

/// Numbers of `width` bits, the lowest bits first.
fn unpack_bits(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> Option<()> {
    if (count as u64) * u64::from(width) > bytes.len() as u64 * 8 {
        return None;
    }
    let (mut buffer, mut bits, mut rest) = (0u64, 0, bytes.iter());
    for _ in 0..count {
        while bits < width {
            buffer |= u64::from(*rest.next()?) << bits;
            bits += 8;
        }
        out.push((buffer & ((1u64 << width) - 1)) as u32);
        buffer >>= width;
        bits -= width;
    }
    Some(())
}

/// All lengths first, as differences in blocks of bit-packed numbers, then all values.
fn delta_lengths(bytes: &[u8], start: usize, count: usize) -> Result<Vec<Slice>, ProblemKind> {
    let mut at = start;
    let mut next = || varint(bytes, &mut at).ok_or_else(short);
    let (block, parts, total) = (next()?, next()?, next()?);
    let mut length = zigzag(next()?);
    let per_part = block.checked_div(parts).unwrap_or(0);
    let is_sound = (1..=1 << 16).contains(&per_part) && per_part % 8 == 0 && parts <= 1 << 10;
    if total != count as u64 || (total > 1 && !is_sound) {
        return Err(broken("delta-length values with an unsound header"));
    }
    let mut lengths = Vec::new();
    if count > 0 {
        lengths.push(length);
    }
    let mut packed = Vec::new();
    while lengths.len() < count {
        let least = zigzag(varint(bytes, &mut at).ok_or_else(short)?);
        let widths = bytes.get(at..at + parts as usize).ok_or_else(short)?;
        at += parts as usize;
        for &width in widths {
            if lengths.len() == count {
                break;
            }
            let size = per_part as usize * usize::from(width) / 8;
            let part = bytes.get(at..at + size).ok_or_else(short)?;
            at += size;
            packed.clear();
            if width > 32 {
                return Err(broken("numbers of more than 32 bits"));
            }
            unpack_bits(part, u32::from(width), per_part as usize, &mut packed)
                .ok_or_else(short)?;
            for &difference in packed.iter().take(count - lengths.len()) {
                length = length.wrapping_add(least).wrapping_add(i64::from(difference));
                lengths.push(length);
            }
        }
    }
    let mut slices = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = u32::try_from(length).map_err(|_| broken("a length below zero"))?;
        let end = at.checked_add(length as usize).filter(|&end| end <= bytes.len());
        slices.push(Slice { start: at as u32, length });
        at = end.ok_or_else(short)?;
    }
    Ok(slices)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn zigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_groups_are_read() {
        // A run of five times 3 in two bits, then the group 0 1 2 3 0 1 2 3 of which six are asked for.
        let bytes = [10, 3, 3, 0b1110_0100, 0b1110_0100];
        assert_eq!(hybrid(&bytes, 2, 11), Ok(vec![3, 3, 3, 3, 3, 0, 1, 2, 3, 0, 1]));
        assert_eq!(hybrid(&[], 0, 3), Ok(vec![0; 3]));
        for broken in [&[10, 3][..], &[], &[0, 0], &[3, 1], &[0xff; 12]] {
            assert!(hybrid(broken, 2, 11).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn delta_lengths_are_read() {
        // Blocks of 8 numbers in one part; lengths 2, 1, 3 as 2, then differences -1, 2 over least -1.
        let mut bytes = vec![8, 1, 3, 4, 1, 2, 0b0000_1100, 0];
        bytes.extend(b"aabccc");
        let slices = delta_lengths(&bytes, 0, 3).expect("sound");
        let found: Vec<&[u8]> =
            slices.iter().map(|s| &bytes[s.start as usize..][..s.length as usize]).collect();
        assert_eq!(found, [&b"aa"[..], b"b", b"ccc"]);
        for cut in 0..bytes.len() {
            assert!(delta_lengths(&bytes[..cut], 0, 3).is_err(), "{cut}");
        }
        assert!(delta_lengths(&bytes, 0, 4).is_err());
    }
}
