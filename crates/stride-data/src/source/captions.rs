//! Captions of one image, from wherever they are written.

use serde_json::Value;

use crate::{CELEBA_ATTRIBUTES, CelebaAttributes, Limits, Problem, ProblemKind};

/// Collects the captions of an image: trimmed, none empty, none twice, within the limits.
pub(super) struct Captions {
    found: Vec<String>,
    limits: Limits,
}

impl Captions {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { found: Vec::new(), limits: *limits }
    }

    /// Adds a caption.
    ///
    /// # Errors
    /// When it is too long, or one too many.
    pub(super) fn push(&mut self, caption: &str) -> Result<(), ProblemKind> {
        let caption = caption.trim();
        if caption.is_empty() || self.found.iter().any(|known| known == caption) {
            return Ok(());
        }
        let (length, longest) = (caption.len(), self.limits.max_caption_bytes);
        if length > longest {
            let (found, limit) = (length as u64, longest as u64);
            return Err(ProblemKind::TooLarge { unit: "bytes of caption", found, limit });
        }
        let most = self.limits.max_captions;
        if self.found.len() >= most {
            let (found, limit) = (most as u64 + 1, most as u64);
            return Err(ProblemKind::TooLarge { unit: "captions", found, limit });
        }
        self.found.push(caption.to_owned());
        Ok(())
    }

    /// Adds captions until one is refused for the number of them; a refused one is reported as
    /// that of `name`.
    pub(super) fn extend<'a>(
        &mut self,
        name: &str,
        captions: impl IntoIterator<Item = &'a str>,
        problems: &mut Vec<Problem>,
    ) {
        for caption in captions {
            if let Err(kind) = self.push(caption) {
                let is_last = matches!(kind, ProblemKind::TooLarge { unit: "captions", .. });
                problems.push(Problem::new(name, kind));
                if is_last {
                    return;
                }
            }
        }
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.found
    }
}

/// The text of a file, without the mark that some editors put first.
///
/// # Errors
/// When it is not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, ProblemKind> {
    let text = std::str::from_utf8(bytes).map_err(|_| ProblemKind::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The texts of a value that is a text or a list of texts.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The attributes that an object gives truth values or signs, or that a list names; nothing if none
/// of them is CelebA's.
pub(super) fn attributes(value: &Value) -> Option<CelebaAttributes> {
    let mut found = None;
    let mut note = |name: &str, is_present: bool| {
        if let Some(with) = found.unwrap_or_else(CelebaAttributes::new).with(name, is_present) {
            found = Some(with);
        }
    };
    match value {
        Value::Object(values) => {
            for name in CELEBA_ATTRIBUTES {
                match values.get(name) {
                    Some(Value::Bool(is_present)) => note(name, *is_present),
                    Some(Value::Number(sign)) => note(name, sign.as_f64().is_some_and(|s| s > 0.0)),
                    Some(Value::String(text)) => {
                        note(name, matches!(text.as_str(), "1" | "yes" | "true"));
                    }
                    _ => {}
                }
            }
        }
        Value::Array(names) => names.iter().filter_map(Value::as_str).for_each(|n| note(n, true)),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn captions_are_trimmed_and_bounded() {
        let limits = Limits { max_caption_bytes: 5, max_captions: 2, ..Limits::default() };
        let mut captions = Captions::new(&limits);
        let mut problems = Vec::new();
        captions.extend(
            "a",
            [" one\r", "", "one", "longer", "two", "three", "four"],
            &mut problems,
        );
        assert_eq!(captions.into_vec(), ["one", "two"]);
        let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "a: too large: 6 bytes of caption, at most 5 are read",
                "a: too large: 3 captions, at most 2 are read"
            ]
        );
    }

    #[test]
    fn attributes_are_read_in_any_form() {
        let young = attributes(&json!({"Young": true, "Male": -1, "Bald": "yes", "hair": "bob"}));
        assert_eq!(young.expect("known").present().collect::<Vec<_>>(), ["Bald", "Young"]);
        let male = attributes(&json!(["Male", "Handsome"])).expect("known");
        assert_eq!(male.present().collect::<Vec<_>>(), ["Male"]);
        assert_eq!(attributes(&json!({"hair": "bob"})), None);
        assert_eq!(attributes(&json!("Male")), None);
    }
}
