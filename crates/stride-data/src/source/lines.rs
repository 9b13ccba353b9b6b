//! Lines and comma-separated rows of listings, one at a time and none too long.

use std::io::{BufRead as _, Read};

use csv_core::ReadRecordResult;

use super::encoding::{self, utf8};
use super::search::Search;
use crate::ProblemKind;

/// Bytes of the longest line or row that is read.
pub(super) const MAX_LINE_BYTES: usize = 4 << 20;

/// Calls `use_line` with the number, from 1, and text of every line that is not blank; what it
/// answers, and lines that are too long or no text, become problems of `file`.
///
/// # Errors
/// When reading fails; the lines before have been used.
pub(super) fn for_each_line(
    reader: &mut dyn Read,
    file: &str,
    search: &mut Search<'_>,
    mut use_line: impl FnMut(usize, &str, &mut Search<'_>) -> Result<(), String>,
) -> Result<(), ProblemKind> {
    let mut reader = encoding::reader(reader)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if (&mut reader).take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let used = if line.len() as u64 == limit && !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
            Err(format!("longer than {MAX_LINE_BYTES} bytes"))
        } else {
            match utf8(&line) {
                Ok(text) if text.trim().is_empty() => Ok(()),
                Ok(text) => use_line(number, text.trim_end_matches(['\n', '\r']), search),
                Err(kind) => Err(kind.to_string()),
            }
        };
        if let Err(problem) = used {
            search.problem(file, ProblemKind::Line { line: number, problem });
        }
    }
    Ok(())
}

/// Calls `use_row` with the line on which it begins and the fields of every row.
///
/// Fields are parted by commas; one in quotes may have commas, line breaks and doubled quotes.
/// The bounds are why this is `csv-core` and not `csv`, which holds a row whatever its length.
///
/// # Errors
/// When reading fails or quotes are never closed; the rows before have been used.
pub(super) fn for_each_row(
    reader: &mut dyn Read,
    file: &str,
    search: &mut Search<'_>,
    mut use_row: impl FnMut(usize, &[&str], &mut Search<'_>) -> Result<(), String>,
) -> Result<(), ProblemKind> {
    let mut reader = encoding::reader(reader)?;
    let mut parser = csv_core::Reader::new();
    let (mut row, mut piece) = (Row::default(), Vec::new());
    let (mut line, mut begins_at) = (1, 1);
    loop {
        piece.clear();
        let is_end = (&mut reader).take(MAX_PIECE_BYTES).read_until(b'\n', &mut piece)? == 0;
        if is_end {
            // It ends the last row, unless that is in quotes.
            piece.push(b'\n');
        }
        if row.is_empty() {
            begins_at = line;
        }
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (read, is_whole) = row.read(&mut parser, rest);
            rest = &rest[read..];
            if is_whole {
                let used = match row.fields() {
                    Ok(fields) if fields == [""] => Ok(()),
                    Ok(fields) => use_row(begins_at, &fields, search),
                    Err(problem) => Err(problem),
                };
                if let Err(problem) = used {
                    search.problem(file, ProblemKind::Line { line: begins_at, problem });
                }
                row.clear();
            }
        }
        line += usize::from(piece.ends_with(b"\n"));
        if is_end && !row.is_empty() {
            let problem = "quotes that are never closed".to_owned();
            return Err(ProblemKind::Line { line: begins_at, problem });
        } else if is_end {
            return Ok(());
        }
    }
}

/// Bytes of a line that the parser gets at a time.
const MAX_PIECE_BYTES: u64 = 1 << 16;

/// A row that is being read.
#[derive(Default)]
struct Row {
    bytes: Vec<u8>,
    /// Where fields end in `bytes`.
    ends: Vec<usize>,
    /// How much of each is in use.
    num_bytes: usize,
    num_ends: usize,
    is_too_long: bool,
}

impl Row {
    /// Lets the parser read some bytes; returns how many it took, and whether the row ended with them.
    fn read(&mut self, parser: &mut csv_core::Reader, input: &[u8]) -> (usize, bool) {
        let (bytes, ends) = (&mut self.bytes[self.num_bytes..], &mut self.ends[self.num_ends..]);
        let (result, read, num_bytes, num_ends) = parser.read_record(input, bytes, ends);
        self.num_bytes += num_bytes;
        self.num_ends += num_ends;
        match result {
            ReadRecordResult::OutputFull if self.bytes.len() <= MAX_LINE_BYTES => {
                let room = (2 * self.bytes.len()).clamp(1 << 12, MAX_LINE_BYTES + 1);
                self.bytes.resize(room, 0);
            }
            ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_LINE_BYTES => {
                self.ends.resize((2 * self.ends.len()).max(16), 0);
            }
            // What follows of the row is read over what is there.
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                (self.num_bytes, self.num_ends, self.is_too_long) = (0, 0, true);
            }
            _ => {}
        }
        (read, matches!(result, ReadRecordResult::Record))
    }

    fn is_empty(&self) -> bool {
        self.num_bytes == 0 && self.num_ends == 0 && !self.is_too_long
    }

    fn fields(&self) -> Result<Vec<&str>, String> {
        if self.is_too_long {
            return Err(format!("longer than {MAX_LINE_BYTES} bytes"));
        }
        let mut start = 0;
        let fields = self.ends[..self.num_ends].iter().map(|&end| {
            let field = utf8(&self.bytes[start..end]).map_err(|kind| kind.to_string());
            start = end;
            field
        });
        fields.collect()
    }

    fn clear(&mut self) {
        (self.num_bytes, self.num_ends, self.is_too_long) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Problem, SourceOptions};

    /// Lines with their numbers and fields, and what is wrong with some and with the whole.
    type Rows = (Vec<(usize, Vec<String>)>, Vec<Problem>, Result<(), ProblemKind>);

    fn rows(text: &[u8]) -> Rows {
        let options = SourceOptions::default();
        let (mut rows, mut search) = (Vec::new(), Search::new(&options));
        let result = for_each_row(&mut &*text, "a.csv", &mut search, |line, fields, _| {
            rows.push((line, fields.iter().map(|&field| field.to_owned()).collect()));
            Ok(())
        });
        (rows, search.problems, result)
    }

    #[test]
    fn fields_may_be_quoted() {
        let text = b"\xef\xbb\xbfa,b\r\n\n\"1,\"\"2\"\"\",\"x\ny\"\nlast,";
        let (rows, problems, result) = rows(text);
        let fields: Vec<(usize, Vec<&str>)> = rows
            .iter()
            .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            fields,
            [(1, vec!["a", "b"]), (3, vec!["1,\"2\"", "x\ny"]), (5, vec!["last", ""])]
        );
        assert!(problems.is_empty() && result.is_ok());
        // A quote inside of a field is a quote.
        let (kept, _, _) = self::rows(b"a 3\" nail,b\n");
        assert_eq!(kept, [(1, vec!["a 3\" nail".to_owned(), "b".to_owned()])]);
    }

    #[test]
    fn broken_rows_are_named() {
        let (kept, problems, result) = rows(b"a\n\xff,b\nc\n\"d");
        assert_eq!(kept.len(), 2);
        assert!(problems[0].to_string().starts_with("a.csv: line 2: not UTF-8"), "{problems:?}");
        assert!(matches!(result, Err(ProblemKind::Line { line: 4, .. })), "{result:?}");
        let long = [b"x,".repeat(MAX_LINE_BYTES), b"\nlast\n".to_vec()].concat();
        let (kept, _, _) = rows(&[vec![b'x'; MAX_LINE_BYTES + 9], b"\nlast\n".to_vec()].concat());
        assert_eq!(kept, [(2, vec!["last".to_owned()])]);
        assert_eq!(rows(&long).0.last(), Some(&(2, vec!["last".to_owned()])));
    }

    #[test]
    fn long_lines_are_passed_over() {
        let text =
            [b"one\n".to_vec(), vec![b'x'; 2 * MAX_LINE_BYTES], b"\n\nthree\xff\nfour".to_vec()];
        let options = SourceOptions::default();
        let (mut lines, mut search) = (Vec::new(), Search::new(&options));
        let read = for_each_line(&mut &*text.concat(), "a", &mut search, |line, text, _| {
            lines.push((line, text.to_owned()));
            if line == 5 { Err("bad".to_owned()) } else { Ok(()) }
        });
        assert_eq!(lines, [(1, "one".to_owned()), (5, "four".to_owned())]);
        let numbers: Vec<String> = search.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            numbers,
            [
                format!("a: line 2: longer than {MAX_LINE_BYTES} bytes"),
                "a: line 4: not UTF-8; write it in UTF-8".to_owned(),
                "a: line 5: bad".to_owned()
            ]
        );
        assert!(read.is_ok());
    }
}
