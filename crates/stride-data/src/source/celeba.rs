//! The tables of CelebA and its descendants: attributes and captions by the name of an image.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;

use super::captions::texts_in;
use super::encoding;
use super::json::WithoutNan;
use super::lines::for_each_line;
use super::names;
use super::search::Search;
use super::tree::Tree;
use crate::{CELEBA_ATTRIBUTES, CelebaAttributes, ProblemKind};

/// Bytes of the largest `captions.json`; CelebA-Dialog's has a fifth.
const MAX_JSON_BYTES: u64 = 1 << 30;

/// Names of the tables of attributes.
const TABLES: [&str; 3] =
    ["CelebAMask-HQ-attribute-anno.txt", "list_attr_celeba.txt", "list_attr_celeba.csv"];

pub(super) fn is_attribute_table(name: &str) -> bool {
    TABLES.contains(&names::base(name))
}

/// Whether a file is a `captions.json`, or one of its kind such as `captions_hq.json`.
pub(super) fn is_caption_table(name: &str) -> bool {
    names::has_ending(name, "json") && names::base(name).to_lowercase().contains("caption")
}

/// Reads a table of attributes into `found`, by the stems of images.
///
/// The first line with two or more known names is the header; what comes before is a count. Rows
/// have the name of an image and 1 or -1 for each column, parted by spaces or commas.
pub(super) fn read_attributes(
    tree: &Tree,
    file: &str,
    found: &mut HashMap<String, CelebaAttributes>,
    search: &mut Search<'_>,
) {
    let mut columns: Vec<String> = Vec::new();
    let read = tree.with_reader(file, |reader, _| {
        for_each_line(reader, file, search, |_, line, _| {
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
        search.problem(file, kind);
    } else if columns.is_empty() {
        let problem = "expected a line of CelebA's attribute names, found none".to_owned();
        search.problem(file, ProblemKind::Corrupt(problem));
    }
}

/// Reads a `captions.json` into `found`, by the stems of images: an object from names to a text, a
/// list of texts, or an object with fields of captions. The captions of several files are joined.
pub(super) fn read_captions(
    tree: &Tree,
    file: &str,
    found: &mut HashMap<String, Vec<String>>,
    search: &mut Search<'_>,
) {
    let known = found.len();
    let read = tree.with_reader(file, |reader, _| {
        let mut reader = reader.take(MAX_JSON_BYTES);
        let reader = WithoutNan::new(encoding::reader(&mut reader)?);
        let mut json = serde_json::Deserializer::from_reader(std::io::BufReader::new(reader));
        let problem = |error: serde_json::Error| ProblemKind::Corrupt(error.to_string());
        json.deserialize_map(Images { found, search }).map_err(problem)?;
        json.end().map_err(problem)
    });
    if let Err(kind) = read {
        search.problem(file, kind);
    }
    if found.len() == known {
        search.saw_file(file);
    }
}

/// Takes one image after the other, so that the file is never in memory as a whole.
struct Images<'a, 'o> {
    found: &'a mut HashMap<String, Vec<String>>,
    search: &'a mut Search<'o>,
}

impl<'de> Visitor<'de> for Images<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from names of images to captions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            let captions = texts_in(&value, self.search);
            if !captions.is_empty() {
                let of_image = self.found.entry(names::stem(&name).to_owned()).or_default();
                of_image.extend(captions.into_iter().map(str::to_owned));
            }
        }
        Ok(())
    }
}
