//! Captions of one image, from wherever they are written.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields;
use super::search::Search;
use crate::{CELEBA_ATTRIBUTES, CelebaAttributes, Limits, ProblemKind};

/// Collects the captions of an image: trimmed, none empty, none twice, within the limits.
///
/// Every line of a text is a caption of its own, wherever the text stands.
#[derive(Debug, Default)]
pub(super) struct Captions {
    found: Vec<String>,
}

impl Captions {
    /// Adds the captions of texts until one is refused for the number of them; a refused one is reported as
    /// that of `name`.
    pub(super) fn extend<'a>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'a str>,
        search: &mut Search<'_>,
    ) {
        for text in texts {
            let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
            search.several_lines += u64::from(lines().nth(1).is_some());
            for caption in lines() {
                if let Err(kind) = self.push(caption, &search.options.limits) {
                    let is_last = matches!(kind, ProblemKind::TooLarge { unit: "captions", .. });
                    search.problem(name, kind);
                    if is_last {
                        return;
                    }
                }
            }
        }
    }

    fn push(&mut self, caption: &str, limits: &Limits) -> Result<(), ProblemKind> {
        if self.found.iter().any(|known| known == caption) {
            return Ok(());
        }
        let (length, longest) = (caption.len(), limits.max_caption_bytes);
        if length > longest {
            let (found, limit) = (length as u64, longest as u64);
            return Err(ProblemKind::TooLarge { unit: "bytes of caption", found, limit });
        }
        let most = limits.max_captions;
        if self.found.len() >= most {
            let (found, limit) = (most as u64 + 1, most as u64);
            return Err(ProblemKind::TooLarge { unit: "captions", found, limit });
        }
        self.found.push(caption.to_owned());
        Ok(())
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.found
    }
}

/// The texts of captions in a value of JSON: itself, or of its fields those that hold captions.
pub(super) fn texts_in<'a>(value: &'a Value, search: &mut Search<'_>) -> Vec<&'a str> {
    let fields = fields::texts(value);
    let paths: Vec<fields::Path<'_>> = fields.iter().map(|(path, _)| path.clone()).collect();
    let chosen = match paths.as_slice() {
        // A text or a list of texts by itself.
        [only] if only.is_empty() => vec![0],
        paths => fields::captions(paths, search.caption_column()),
    };
    if chosen.is_empty() {
        paths.iter().for_each(|path| search.saw_field(path));
    }
    chosen.into_iter().flat_map(|index| fields[index].1.clone()).collect()
}

/// The attributes whose value is a string, a number or a boolean.
pub(super) fn named_values(attributes: &Value) -> BTreeMap<String, String> {
    let Value::Object(attributes) = attributes else { return BTreeMap::new() };
    let named = |(name, value): (&String, &Value)| match value {
        Value::String(value) => Some((name.clone(), value.clone())),
        Value::Bool(value) => Some((name.clone(), if *value { "yes" } else { "no" }.to_owned())),
        Value::Number(value) => Some((name.clone(), value.to_string())),
        _ => None,
    };
    attributes.iter().filter_map(named).collect()
}

/// The attributes that an object gives truth values or signs, or that a list names; nothing if none
/// of them is CelebA's.
pub(super) fn face(value: &Value) -> Option<CelebaAttributes> {
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
    use crate::SourceOptions;

    #[test]
    fn captions_are_trimmed_and_bounded() {
        let limits = Limits { max_caption_bytes: 5, max_captions: 2, ..Limits::default() };
        let options = SourceOptions { limits, ..SourceOptions::default() };
        let (mut captions, mut search) = (Captions::default(), Search::new(&options));
        captions.extend("a", [" one\r", "", "one\n\nlonger\r\ntwo", "three", "four"], &mut search);
        assert_eq!(captions.into_vec(), ["one", "two"]);
        let messages: Vec<String> = search.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "a: too large: 6 bytes of caption, at most 5 are read",
                "a: too large: 3 captions, at most 2 are read"
            ]
        );
        assert_eq!(search.several_lines, 1);
    }

    #[test]
    fn captions_of_json_are_its_own_or_those_of_its_fields() {
        let options = SourceOptions::default();
        let mut search = Search::new(&options);
        for (value, expected) in [
            (json!("one"), &["one"][..]),
            (json!(["one", 2, "three"]), &["one", "three"]),
            (
                json!({"overall_caption": "one", "attribute_wise_captions": {"Bangs": "two"}}),
                &["one"],
            ),
            (
                json!({"captions": ["two", null, "three"], "text": "one", "id": "four"}),
                &["one", "two", "three"],
            ),
            (json!({"text": null, "prompt": "one"}), &["one"]),
            (json!(3), &[]),
            (json!({"label": "x"}), &[]),
        ] {
            assert_eq!(texts_in(&value, &mut search), expected, "{value}");
        }
    }

    #[test]
    fn values_are_texts_whatever_they_were() {
        let value = json!({"hair": "bob", "male": true, "age": 3, "box": [1]});
        let named: Vec<_> = named_values(&value).into_iter().collect();
        let expected = [("age", "3"), ("hair", "bob"), ("male", "yes")];
        assert_eq!(named, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(named_values(&json!(["bob"])).is_empty());
    }

    #[test]
    fn attributes_are_read_in_any_form() {
        let young = face(&json!({"Young": true, "Male": -1, "Bald": "yes", "hair": "bob"}));
        assert_eq!(young.expect("known").present().collect::<Vec<_>>(), ["Bald", "Young"]);
        let male = face(&json!(["Male", "Handsome"])).expect("known");
        assert_eq!(male.present().collect::<Vec<_>>(), ["Male"]);
        assert_eq!(face(&json!({"hair": "bob"})), None);
        assert_eq!(face(&json!("Male")), None);
    }
}
