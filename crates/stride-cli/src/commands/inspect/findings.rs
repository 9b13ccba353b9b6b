//! What an inspection found, and how its parts are written.

use std::fmt::Write as _;

use serde_json::Value;

/// What was found, for eyes and for programs.
pub(super) struct Findings {
    pub(super) text: String,
    pub(super) json: Value,
}

/// Adds `name value` lines for the fields of a JSON object, sorted as they come.
pub(super) fn push_fields(text: &mut String, indent: &str, fields: &Value) {
    let Value::Object(fields) = fields else {
        return;
    };
    for (name, value) in fields {
        let shown = match value {
            Value::String(value) => value.clone(),
            other => shorten(&other.to_string()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{name}: {shown}");
    }
}

/// The start of a long text, for lists of thousands of numbers.
pub(super) fn shorten(text: &str) -> String {
    const WIDTH: usize = 120;
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let start: String = text.chars().take(WIDTH).collect();
    format!("{start}... ({} characters)", text.chars().count())
}

/// A file size as people say it.
pub(super) fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
