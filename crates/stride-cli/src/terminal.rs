//! What the program writes to stdout, and text from files that is safe to show.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

/// Stdout, which may be closed: `stride inspect FILE | head -1` reads one line, and the rest is for nobody.
pub(crate) struct Stdout(io::Stdout);

/// Where results go.
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout())
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        quiet(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        quiet(self.0.flush(), ())
    }
}

/// Writes a JSON object as one line to stdout.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{}", printable_json(&serde_json::to_string(value)?))?)
}

/// Counts what nobody reads as written, and says of other failures where they happened.
fn quiet<T>(result: io::Result<T>, written: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(written),
        // Whoever writes tries again by itself.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))),
        written => written,
    }
}

/// The text with what steers a terminal written out, such as `\u{1b}`; line breaks and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !matches!(c, '\n' | '\t') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON with what steers a terminal as JSON's own escapes, so that it means the same.
pub(crate) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            // Writing to a string cannot fail. All of these characters have four digits.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, and those that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let text = "a\tb\n\u{1b}[31m\u{9b}2J\u{7f}\u{202e}größer 😀";
        assert_eq!(printable(text), "a\tb\n\\u{1b}[31m\\u{9b}2J\\u{7f}\\u{202e}größer 😀");
        let json = serde_json::json!({ "text": text }).to_string();
        let shown = printable_json(&json);
        assert!(!shown.chars().any(steers), "{shown}");
        let back: serde_json::Value = serde_json::from_str(&shown).expect("still JSON");
        assert_eq!(back["text"], text);
    }
}
