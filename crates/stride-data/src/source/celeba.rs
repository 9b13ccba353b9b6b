//! The tables of CelebA and its descendants: attributes and captions by the name of an image.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read as _};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;

use super::captions::texts;
use super::lines::for_each_line;
use super::names;
use super::tree::Tree;
use crate::{CELEBA_ATTRIBUTES, CelebaAttributes, Problem, ProblemKind};

/// Bytes of the largest `captions.json`; CelebA-Dialog's has a fifth.
const MAX_JSON_BYTES: u64 = 1 << 30;

/// Names of the tables of attributes.
const TABLES: [&str; 3] =
    ["CelebAMask-HQ-attribute-anno.txt", "list_attr_celeba.txt", "list_attr_celeba.csv"];

pub(super) fn is_attribute_table(name: &str) -> bool {
    TABLES.contains(&names::base(name))
}

/// Reads a table of attributes into `found`, by the stems of images.
///
/// The first line with two or more known names is the header; what comes before is a count. Rows
/// have the name of an image and 1 or -1 for each column, parted by spaces or commas.
pub(super) fn read_attributes(
    tree: &Tree,
    file: &str,
    found: &mut HashMap<String, CelebaAttributes>,
    problems: &mut Vec<Problem>,
) {
    let mut columns: Vec<String> = Vec::new();
    let read = tree.with_reader(file, |reader, _| {
        for_each_line(reader, file, problems, |_, line, _| {
            let mut fields: Vec<&str> =
                line.split([' ', '\t', ',']).filter(|field| !field.is_empty()).collect();
            if columns.is_empty() {
                let is_known = |field: &&str| CELEBA_ATTRIBUTES.contains(field);
                if fields.iter().copied().filter(|field| is_known(field)).count() >= 2 {
                    let first = fields.iter().position(is_known).unwrap_or(0);
                    columns.extend(fields.drain(first..).map(str::to_owned));
                }
                return Ok(());
            }
            let (expected, is) = (columns.len() + 1, fields.len());
            if is != expected {
                return Err(format!(
                    "expected a name and {} values, found {is} fields",
                    expected - 1
                ));
            }
            let mut attributes = CelebaAttributes::new();
            for (column, value) in columns.iter().zip(&fields[1..]) {
                let is_present = match *value {
                    "1" => true,
                    "-1" | "0" => false,
                    other => return Err(format!("expected 1 or -1 for {column}, found `{other}`")),
                };
                attributes = attributes.with(column, is_present).unwrap_or(attributes);
            }
            found.insert(names::stem(fields[0]).to_owned(), attributes);
            Ok(())
        })
    });
    if let Err(kind) = read {
        problems.push(Problem::new(file, kind));
    } else if columns.is_empty() {
        let problem = "expected a line of CelebA's attribute names, found none".to_owned();
        problems.push(Problem::new(file, ProblemKind::Corrupt(problem)));
    }
}

/// Reads `captions.json` into `found`, by the stems of images: an object from names to a text, a
/// list of texts, or an object of which the members count whose names have "caption" in them.
pub(super) fn read_captions(
    tree: &Tree,
    file: &str,
    found: &mut HashMap<String, Vec<String>>,
    problems: &mut Vec<Problem>,
) {
    let read = tree.with_reader(file, |reader, _| {
        let reader = BufReader::with_capacity(1 << 16, reader.take(MAX_JSON_BYTES));
        let mut json = serde_json::Deserializer::from_reader(reader);
        let problem = |error: serde_json::Error| ProblemKind::Corrupt(error.to_string());
        json.deserialize_map(Images(found)).map_err(problem)?;
        json.end().map_err(problem)
    });
    if let Err(kind) = read {
        problems.push(Problem::new(file, kind));
    }
}

/// Takes one image after the other, so that the file is never in memory as a whole.
struct Images<'a>(&'a mut HashMap<String, Vec<String>>);

impl<'de> Visitor<'de> for Images<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from names of images to captions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let captions = captions_of(&value).into_iter().map(str::to_owned).collect();
            self.0.insert(names::stem(&name).to_owned(), captions);
        }
        Ok(())
    }
}

fn captions_of(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let is_caption = |name: &&String| name.to_lowercase().contains("caption");
            let mut names: Vec<&String> = members.keys().filter(is_caption).collect();
            // Whether an object keeps its order is another crate's choice.
            names.sort_unstable();
            names.into_iter().filter_map(|name| members.get(name)).flat_map(texts).collect()
        }
        value => texts(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn captions_have_three_forms() {
        assert_eq!(captions_of(&json!("one")), ["one"]);
        assert_eq!(captions_of(&json!(["one", 2, "three"])), ["one", "three"]);
        let object = json!({"overall_caption": "one", "attribute_wise_captions": {"Bangs": "two"},
            "captions": ["three"], "id": "four"});
        assert_eq!(captions_of(&object), ["three", "one"]);
        assert!(captions_of(&json!(3)).is_empty());
    }
}
