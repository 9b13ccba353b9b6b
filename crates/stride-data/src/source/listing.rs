//! `metadata.jsonl` and `metadata.csv`, as Hugging Face's `imagefolder` reads them.

use std::collections::HashMap;

use serde_json::Value;

use super::captions::{Captions, face, named_values, texts_in};
use super::lines::{for_each_line, for_each_row};
use super::record::{Place, Record};
use super::search::Search;
use super::tree::Tree;
use super::{fields, json, names};
use crate::ProblemKind;

/// The field of other marks than captions.
const ATTRIBUTES: &str = "attributes";

/// What libraries for tables write where a text is missing.
const MISSING: [&str; 6] = ["NaN", "nan", "null", "NULL", "None", "<NA>"];

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

/// An image of a listing, while its lines are read.
#[derive(Default)]
pub(super) struct Listed {
    records: Vec<(Record, Captions)>,
    places: HashMap<String, usize>,
}

impl Listed {
    /// Reads the lines of a listing; a name that was there before keeps its place and gets further captions.
    pub(super) fn read(&mut self, tree: &Tree, listing: &str, search: &mut Search<'_>) {
        let read = tree.with_reader(listing, |reader, _| {
            if names::has_ending(listing, "csv") {
                let mut columns: Option<Columns> = None;
                for_each_row(reader, listing, search, |_, fields, search| {
                    let Some(columns) = &columns else {
                        columns = Some(Columns::of(fields, search)?);
                        return Ok(());
                    };
                    let file_name = fields.get(columns.file_name).ok_or("too few fields")?;
                    let texts = columns.captions.iter().filter_map(|&column| fields.get(column));
                    let texts = texts.copied().filter(|text| !MISSING.contains(&text.trim()));
                    let line = Line { file_name, texts: texts.collect(), attributes: &Value::Null };
                    self.add(tree, listing, line, search);
                    Ok(())
                })
            } else {
                for_each_line(reader, listing, search, |_, line, search| {
                    let mut value = json::parse(line)?;
                    let members = value.as_object_mut().ok_or("expected an object")?;
                    let attributes = members.remove(ATTRIBUTES).unwrap_or_default();
                    let all: Vec<&str> = members.keys().map(String::as_str).collect();
                    let name = fields::file_name(&all, search.image_column())
                        .ok_or_else(|| no_file_name(&all, search))?;
                    let (key, name) = (all[name].to_owned(), members.get(all[name]));
                    let name = name.and_then(Value::as_str).map(str::to_owned);
                    let name = name.ok_or_else(|| format!("expected a text in {key}"))?;
                    members.remove(&key);
                    let texts = texts_in(&value, search);
                    let line = Line { file_name: &name, texts, attributes: &attributes };
                    self.add(tree, listing, line, search);
                    Ok(())
                })
            }
        });
        if let Err(kind) = read {
            search.problem(listing, kind);
        }
    }

    /// Takes in what a line says, if the image is there; its problems if not.
    fn add(&mut self, tree: &Tree, listing: &str, line: Line<'_>, search: &mut Search<'_>) {
        let name = match find_file(tree, names::folder(listing), line.file_name) {
            Ok(name) => name,
            Err((name, None)) if search.options.images_may_be_missing => name,
            Err((name, kind)) => {
                // A link that leaves the folder, say, has been reported as such.
                if !tree.is_refused(&name) {
                    let listing = listing.to_owned();
                    let kind = kind.unwrap_or(ProblemKind::Missing { listing });
                    search.problem(name, kind);
                }
                return;
            }
        };
        let place = match self.places.get(&name) {
            Some(&place) => {
                search.problem(&name, ProblemKind::ListedAgain);
                place
            }
            None => {
                let record = Record::new(name.clone(), Vec::new(), Place::Tree);
                self.records.push((record, Captions::default()));
                self.places.insert(name.clone(), self.records.len() - 1);
                self.records.len() - 1
            }
        };
        let (record, captions) = &mut self.records[place];
        captions.extend(&name, line.texts, search);
        record.face = record.face.or_else(|| face(line.attributes));
        if record.attributes.is_empty() {
            record.attributes = named_values(line.attributes);
        }
    }

    /// Whether a listing names this image.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The images in the order in which they are first named.
    pub(super) fn into_records(self) -> Vec<Record> {
        let with_captions = |(record, captions): (Record, Captions)| Record {
            captions: captions.into_vec(),
            ..record
        };
        self.records.into_iter().map(with_captions).collect()
    }
}

/// What a line says.
struct Line<'a> {
    file_name: &'a str,
    texts: Vec<&'a str>,
    attributes: &'a Value,
}

/// Where the columns of a table are.
struct Columns {
    file_name: usize,
    captions: Vec<usize>,
}

impl Columns {
    fn of(header: &[&str], search: &mut Search<'_>) -> Result<Self, String> {
        let header: Vec<&str> = header.iter().map(|name| name.trim()).collect();
        let file_name = fields::file_name(&header, search.image_column())
            .ok_or_else(|| no_file_name(&header, search))?;
        let paths: Vec<fields::Path<'_>> = header.iter().map(|name| vec![*name]).collect();
        let captions = fields::captions(&paths, search.caption_column());
        let captions: Vec<usize> = captions.into_iter().filter(|&k| k != file_name).collect();
        for index in (0..paths.len()).filter(|k| *k != file_name && !captions.contains(k)) {
            search.saw_field(&paths[index]);
        }
        Ok(Self { file_name, captions })
    }
}

fn no_file_name(found: &[&str], search: &Search<'_>) -> String {
    let wanted = search.image_column().unwrap_or("file_name");
    format!(
        "expected the field `{wanted}` with the name of an image, found {}; name it with --image-column",
        found.join(", ")
    )
}

/// The name of the file that a line means, also where it parts folders with back slashes; else the name that is
/// not there, with what is wrong with it, if it is not just missing.
fn find_file(
    tree: &Tree,
    folder: &str,
    name: &str,
) -> Result<String, (String, Option<ProblemKind>)> {
    let with_slashes = name.replace('\\', "/");
    let mut first = None;
    for name in [name, &with_slashes] {
        let cleaned = names::clean(name).map(|name| format!("{folder}{name}"));
        match cleaned {
            Ok(name) if tree.contains(&name) => return Ok(name),
            Ok(name) => _ = first.get_or_insert((name, None)),
            Err(kind) => _ = first.get_or_insert((name.to_owned(), Some(kind))),
        }
    }
    Err(first.unwrap_or_else(|| (name.to_owned(), None)))
}
