//! Text as bytes: UTF-8 with and without a mark, UTF-16 with one.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use crate::ProblemKind;

/// Marks that begin a text in another encoding, and its name.
const OTHERS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\x84\x31\x95\x33", "GB 18030"),
    (b"\xdd\x73\x66\x73", "UTF-EBCDIC"),
];

/// The text of a file.
///
/// # Errors
/// When it is neither UTF-8 nor UTF-16 with its mark.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ProblemKind> {
    if is_utf16(bytes) {
        let mut text = String::new();
        reader(&mut &*bytes)?.read_to_string(&mut text)?;
        return Ok(text.into());
    }
    check_mark(bytes)?;
    utf8(bytes).map(Cow::Borrowed)
}

/// UTF-8 without the mark that some editors put first.
///
/// # Errors
/// When it is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, ProblemKind> {
    // Letters of ASCII have a zero as their other byte there.
    if let [first, second, ..] = *bytes
        && (first == 0) != (second == 0)
    {
        return Err(ProblemKind::Encoding("UTF-16 without its mark"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ProblemKind::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A reader of the same text in UTF-8; bytes without a mark stay as they are.
///
/// # Errors
/// When reading fails, or a mark tells of an encoding that is not read.
pub(super) fn reader<'a>(inner: &'a mut dyn Read) -> Result<Box<dyn BufRead + 'a>, ProblemKind> {
    let mut start = Vec::new();
    Read::take(&mut *inner, 4).read_to_end(&mut start)?;
    check_mark(&start)?;
    let is_utf16 = is_utf16(&start);
    let is_big_endian = start.first() == Some(&0xfe);
    let mut whole = BufReader::new(Cursor::new(start).chain(inner));
    if !is_utf16 {
        return Ok(Box::new(whole));
    }
    whole.read_exact(&mut [0; 2])?;
    Ok(Box::new(BufReader::new(Utf16 { inner: whole, is_big_endian, ready: Vec::new() })))
}

fn is_utf16(bytes: &[u8]) -> bool {
    check_mark(bytes).is_ok() && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"))
}

fn check_mark(bytes: &[u8]) -> Result<(), ProblemKind> {
    match OTHERS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        Some((_, name)) => Err(ProblemKind::Encoding(name)),
        None => Ok(()),
    }
}

/// From UTF-16 to UTF-8, some letters at a time.
struct Utf16<'a> {
    inner: BufReader<Chain<Cursor<Vec<u8>>, &'a mut dyn Read>>,
    is_big_endian: bool,
    /// What is decoded and not handed out yet, the next byte last.
    ready: Vec<u8>,
}

impl Utf16<'_> {
    /// The next unit; nothing at the end.
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut pair = Vec::with_capacity(2);
        (&mut self.inner).take(2).read_to_end(&mut pair)?;
        match pair[..] {
            [] => Ok(None),
            [a, b] if self.is_big_endian => Ok(Some(u16::from_be_bytes([a, b]))),
            [a, b] => Ok(Some(u16::from_le_bytes([a, b]))),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn letter(&mut self) -> io::Result<Option<char>> {
        let Some(first) = self.unit()? else { return Ok(None) };
        let is_half = (0xd800..0xdc00).contains(&first);
        let second = if is_half { self.unit()? } else { None };
        let letter = char::decode_utf16([first].into_iter().chain(second)).next();
        match letter {
            Some(Ok(letter)) => Ok(Some(letter)),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not the UTF-16 of its mark")),
        }
    }
}

impl Read for Utf16<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < out.len() {
            if self.ready.is_empty() {
                let Some(letter) = self.letter()? else { break };
                self.ready.extend(letter.encode_utf8(&mut [0; 4]).bytes().rev());
            }
            let Some(byte) = self.ready.pop() else { break };
            out[count] = byte;
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_the_encoding() {
        let text = "a été 🎩\nb";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &little].concat(),
            [&b"\xfe\xff"[..], &big].concat(),
        ] {
            assert_eq!(decode(&bytes).as_deref(), Ok(text));
            let mut read = String::new();
            reader(&mut &*bytes).expect("known").read_to_string(&mut read).expect("text");
            assert_eq!(read.trim_start_matches('\u{feff}'), text);
        }
        assert_eq!(decode(b""), Ok("".into()));
    }

    #[test]
    fn other_encodings_are_named() {
        assert_eq!(decode(b"\xff\xfe\0\0a\0\0\0"), Err(ProblemKind::Encoding("UTF-32")));
        assert_eq!(decode(b"caf\xe9"), Err(ProblemKind::NotUtf8));
        let unmarked: Vec<u8> = "a été".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&unmarked), Err(ProblemKind::Encoding("UTF-16 without its mark")));
        for broken in [&b"\xff\xfea"[..], b"\xff\xfe\0\xd8", b"\xfe\xff\xdc\0"] {
            assert!(matches!(decode(broken), Err(ProblemKind::Corrupt(_))), "{broken:?}");
        }
    }
}
