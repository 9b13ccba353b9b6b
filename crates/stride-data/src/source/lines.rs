//! Lines and comma-separated rows of listings, one at a time and none too long.

use std::io::{BufRead, BufReader, Read};

use super::captions::utf8;
use crate::{Problem, ProblemKind};

/// Bytes of the longest line or row that is read.
pub(super) const MAX_LINE_BYTES: usize = 4 << 20;

/// Calls `use_line` with the number, from 1, and text of every line that is not blank; what it
/// answers, and lines that are too long or not UTF-8, become problems of `file`.
///
/// # Errors
/// When reading fails; the lines before have been used.
pub(super) fn for_each_line(
    reader: &mut dyn Read,
    file: &str,
    problems: &mut Vec<Problem>,
    mut use_line: impl FnMut(usize, &str, &mut Vec<Problem>) -> Result<(), String>,
) -> Result<(), ProblemKind> {
    let mut reader = BufReader::new(reader);
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
                Ok(text) => use_line(number, text.trim_end_matches(['\n', '\r']), problems),
                Err(kind) => Err(kind.to_string()),
            }
        };
        if let Err(problem) = used {
            problems.push(Problem::new(file, ProblemKind::Line { line: number, problem }));
        }
    }
    Ok(())
}

/// Calls `use_row` with the line on which it begins and the fields of every row.
///
/// Fields are parted by commas; one in quotes may have commas, line breaks and doubled quotes.
/// Source: RFC 4180.
///
/// # Errors
/// When reading fails or quotes are never closed; the rows before have been used.
pub(super) fn for_each_row(
    reader: &mut dyn Read,
    file: &str,
    problems: &mut Vec<Problem>,
    mut use_row: impl FnMut(usize, &[&str], &mut Vec<Problem>) -> Result<(), String>,
) -> Result<(), ProblemKind> {
    let mut row = Row::default();
    let mut finish = |row: &mut Row, problems: &mut Vec<Problem>| {
        let used = if row.bytes.len() > MAX_LINE_BYTES {
            Err(format!("longer than {MAX_LINE_BYTES} bytes"))
        } else {
            match row.fields() {
                Ok(fields) if fields == [""] => Ok(()),
                Ok(fields) => use_row(row.begins_at, &fields, problems),
                Err(kind) => Err(kind.to_string()),
            }
        };
        if let Err(problem) = used {
            problems.push(Problem::new(file, ProblemKind::Line { line: row.begins_at, problem }));
        }
        *row = Row { begins_at: row.line, line: row.line, ..Row::default() };
    };
    for byte in BufReader::new(reader).bytes() {
        if row.push(byte?) {
            finish(&mut row, problems);
        }
    }
    if row.is_quoted {
        let problem = "quotes that are never closed".to_owned();
        return Err(ProblemKind::Line { line: row.begins_at, problem });
    }
    finish(&mut row, problems);
    Ok(())
}

/// A row that is being read.
struct Row {
    begins_at: usize,
    line: usize,
    bytes: Vec<u8>,
    /// Where fields end in `bytes`, without the last.
    ends: Vec<usize>,
    is_quoted: bool,
    was_quote: bool,
}

impl Default for Row {
    fn default() -> Self {
        let (bytes, ends) = (Vec::new(), Vec::new());
        Self { begins_at: 1, line: 1, bytes, ends, is_quoted: false, was_quote: false }
    }
}

impl Row {
    /// Takes a byte in; true where the row ends.
    fn push(&mut self, byte: u8) -> bool {
        self.line += usize::from(byte == b'\n');
        // A quote right after a closing one stands for itself.
        let doubled = byte == b'"' && self.was_quote && !self.is_quoted;
        self.was_quote = byte == b'"' && self.is_quoted;
        match byte {
            b'"' => {
                if doubled {
                    self.keep(byte);
                }
                self.is_quoted = !self.is_quoted;
            }
            b'\n' if !self.is_quoted => {
                if self.bytes.last() == Some(&b'\r') {
                    self.bytes.pop();
                }
                return true;
            }
            b',' if !self.is_quoted && self.ends.len() < MAX_LINE_BYTES => {
                self.ends.push(self.bytes.len());
            }
            byte => self.keep(byte),
        }
        false
    }

    fn keep(&mut self, byte: u8) {
        // One more than allowed, so that it shows.
        if self.bytes.len() <= MAX_LINE_BYTES {
            self.bytes.push(byte);
        }
    }

    fn fields(&self) -> Result<Vec<&str>, ProblemKind> {
        let mut start = 0;
        let mut fields = Vec::with_capacity(self.ends.len() + 1);
        for &end in self.ends.iter().chain([&self.bytes.len()]) {
            fields.push(utf8(self.bytes.get(start..end).unwrap_or_default())?);
            start = end;
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with their numbers and fields, and what is wrong with some and with the whole.
    type Rows = (Vec<(usize, Vec<String>)>, Vec<Problem>, Result<(), ProblemKind>);

    fn rows(text: &[u8]) -> Rows {
        let (mut rows, mut problems) = (Vec::new(), Vec::new());
        let result = for_each_row(&mut &*text, "a.csv", &mut problems, |line, fields, _| {
            rows.push((line, fields.iter().map(|&field| field.to_owned()).collect()));
            Ok(())
        });
        (rows, problems, result)
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
        let (mut lines, mut problems) = (Vec::new(), Vec::new());
        let read = for_each_line(&mut &*text.concat(), "a", &mut problems, |line, text, _| {
            lines.push((line, text.to_owned()));
            if line == 5 { Err("bad".to_owned()) } else { Ok(()) }
        });
        assert_eq!(lines, [(1, "one".to_owned()), (5, "four".to_owned())]);
        let numbers: Vec<String> = problems.iter().map(ToString::to_string).collect();
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
