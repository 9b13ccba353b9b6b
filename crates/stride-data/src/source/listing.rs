//! `metadata.jsonl` and `metadata.csv`, as Hugging Face's `imagefolder` reads them.

use serde::Deserialize;
use serde_json::Value;

use super::captions::{Captions, attributes, texts};
use super::lines::{for_each_line, for_each_row};
use super::names;
use super::record::{Place, Record};
use super::tree::Tree;
use crate::{Limits, Problem, ProblemKind};

/// One line of `metadata.jsonl`; other fields are ignored, as data sets carry their own.
#[derive(Deserialize)]
struct Line {
    file_name: String,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    captions: Value,
    #[serde(default)]
    attributes: Value,
}

/// The listings of a tree; where a folder has both kinds, its `metadata.jsonl`.
pub(super) fn find(tree: &Tree) -> Vec<String> {
    tree.names()
        .filter(|name| match names::base(name) {
            "metadata.jsonl" => true,
            "metadata.csv" => !tree.contains(&format!("{}metadata.jsonl", names::folder(name))),
            _ => false,
        })
        .map(str::to_owned)
        .collect()
}

/// The images that a listing names, in its order.
pub(super) fn read(
    tree: &Tree,
    listing: &str,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut take = |entry: Entry<'_>, problems: &mut Vec<Problem>| {
        let record = entry.record(tree, listing, limits, problems)?;
        records.extend(record);
        Ok(())
    };
    let mut found = Vec::new();
    let read = tree.with_reader(listing, |reader, _| {
        if names::has_ending(listing, "csv") {
            let mut columns = None;
            for_each_row(reader, listing, &mut found, |_, fields, problems| {
                let Some((file_name, text)) = columns else {
                    columns = Some(header(fields)?);
                    return Ok(());
                };
                let file_name = *fields.get(file_name).ok_or("too few fields")?;
                let captions = text.and_then(|text: usize| fields.get(text)).copied();
                let captions = captions.into_iter().collect();
                take(Entry { file_name, captions, attributes: &Value::Null }, problems)
            })
        } else {
            for_each_line(reader, listing, &mut found, |_, line, problems| {
                let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
                let captions = [texts(&line.text), texts(&line.captions)].concat();
                let entry =
                    Entry { file_name: &line.file_name, captions, attributes: &line.attributes };
                take(entry, problems)
            })
        }
    });
    problems.append(&mut found);
    if let Err(kind) = read {
        problems.push(Problem::new(listing, kind));
    }
    records
}

/// The columns of `file_name` and `text`.
fn header(fields: &[&str]) -> Result<(usize, Option<usize>), String> {
    let column = |name| fields.iter().position(|field| field.trim() == name);
    let file_name = column("file_name")
        .ok_or_else(|| format!("expected the header `file_name,text`, found {fields:?}"))?;
    Ok((file_name, column("text")))
}

/// What a line says.
struct Entry<'a> {
    file_name: &'a str,
    captions: Vec<&'a str>,
    attributes: &'a Value,
}

impl Entry<'_> {
    /// The record, if the image is there; its problems if not.
    fn record(
        self,
        tree: &Tree,
        listing: &str,
        limits: &Limits,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Record>, String> {
        let name = match names::clean(self.file_name) {
            Ok(name) => format!("{}{name}", names::folder(listing)),
            Err(kind) => {
                problems.push(Problem::new(self.file_name, kind));
                return Ok(None);
            }
        };
        if !tree.contains(&name) {
            // A link that leaves the folder, say, has been reported as such.
            if !tree.is_refused(&name) {
                let listing = listing.to_owned();
                problems.push(Problem::new(name, ProblemKind::Missing { listing }));
            }
            return Ok(None);
        }
        let mut captions = Captions::new(limits);
        captions.extend(&name, self.captions, problems);
        Ok(Some(Record {
            name,
            captions: captions.into_vec(),
            attributes: attributes(self.attributes),
            place: Place::Tree,
        }))
    }
}
