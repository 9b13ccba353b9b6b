//! No caption is lost in silence: where a set opens, it has every caption that a plain reading finds.
//!
//! The plain reader knows the simplest form of each layout, shares nothing with the crate, and passes over whatever it
//! cannot read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use serde_json::Value;
use stride_data::{Source, SourceOptions};
use tar::{Archive, Builder, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::mutations::{Draws, check_peak, rounds};
use crate::parquet_writer;
use crate::sets::{folder, png};

/// Captions by the stem of an image.
type Found = BTreeMap<String, BTreeSet<String>>;

const IMAGES: usize = 8;

fn stem(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.')
}

/// Whether it stands for nothing, or for a text in another encoding.
fn is_none(text: &str) -> bool {
    ["nan", "null", "none", "<na>"].contains(&text.trim().to_lowercase().as_str())
        || text.contains('\0')
}

fn add(found: &mut Found, stem: &str, text: &str) {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if !is_none(text) {
        found.entry(stem.to_owned()).or_default().extend(lines.map(str::to_owned));
    }
}

fn add_json(found: &mut Found, stem: &str, value: &Value) {
    match value {
        Value::String(text) => add(found, stem, text),
        Value::Array(texts) => texts.iter().for_each(|text| add_json(found, stem, text)),
        _ => {}
    }
}

fn add_fields(found: &mut Found, stem: &str, value: &Value) {
    for name in ["text", "caption", "captions"] {
        add_json(found, stem, &value[name]);
    }
}

/// The stem of an image of the set, which it is if it has this very name.
fn image(name: &str) -> Option<&str> {
    let (stem, ending) = stem(name)?;
    let is_one = (0..IMAGES).any(|k| stem == format!("i{k}")) && ending == "png";
    is_one.then_some(stem)
}

fn of_lines(bytes: &[u8]) -> Found {
    let mut found = Found::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Ok(value) = serde_json::from_slice::<Value>(line) else { continue };
        if let Some(stem) = value["file_name"].as_str().and_then(image) {
            add_fields(&mut found, stem, &value);
        }
    }
    found
}

fn of_table(bytes: &[u8]) -> Found {
    let mut found = Found::new();
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let is_known = lines.next().is_some_and(|header| header == "file_name,text,n");
    // Quotes are for others to read.
    if !is_known || text.contains(['"', '\r', '\u{fffd}']) {
        return found;
    }
    for line in lines {
        if let [name, text, _] = line.split(',').collect::<Vec<_>>()[..]
            && let Some(stem) = image(name)
        {
            add(&mut found, stem, text);
        }
    }
    found
}

fn of_object(bytes: &[u8]) -> Found {
    let mut found = Found::new();
    if let Ok(Value::Object(members)) = serde_json::from_slice(bytes) {
        for (name, value) in members {
            if let Some(stem) = image(&name) {
                add_json(&mut found, stem, &value);
                add_json(&mut found, stem, &value["overall_caption"]);
            }
        }
    }
    found
}

/// One text among others that are whole.
fn of_text(bytes: &[u8]) -> Found {
    let mut found = Found::new();
    if let Ok(text) = std::str::from_utf8(bytes) {
        add(&mut found, "i0", text.trim_start_matches('\u{feff}'));
    }
    (1..IMAGES).for_each(|k| add(&mut found, &format!("i{k}"), &format!("number {k}")));
    found
}

fn of_tar(bytes: &[u8]) -> Found {
    let (mut images, mut texts) = (BTreeSet::new(), Found::new());
    let mut archive = Archive::new(bytes);
    for entry in archive.entries().expect("in memory") {
        let Ok(mut entry) = entry else { break };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        let is_whole = entry.read_to_end(&mut content).is_ok_and(|n| n as u64 == entry.size());
        let is_plain = entry.header().entry_type().is_file() && !name.starts_with('.');
        if !is_whole {
            break;
        }
        let Some((stem, ending)) = stem(&name).filter(|_| is_plain) else { continue };
        match ending {
            "png" => _ = images.insert(stem.to_owned()),
            "txt" => {
                if let Ok(text) = std::str::from_utf8(&content) {
                    add(&mut texts, stem, text.trim_start_matches('\u{feff}'));
                }
            }
            "json" => {
                if let Ok(value) = serde_json::from_slice(&content) {
                    add_fields(&mut texts, stem, &value);
                }
            }
            _ => {}
        }
    }
    texts.retain(|stem, _| images.contains(stem));
    texts
}

/// A column of a table: every line is the text of an image, and the last one has all lines that follow.
fn of_column(bytes: &[u8]) -> Found {
    let mut found = Found::new();
    for (row, text) in rows_of(bytes).iter().enumerate() {
        if let Ok(text) = std::str::from_utf8(text) {
            add(&mut found, &row.to_string(), text.trim_start_matches('\u{feff}'));
        }
    }
    found
}

fn rows_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> =
        bytes.splitn(IMAGES, |&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    rows.resize(IMAGES, Vec::new());
    rows
}

fn parquet_of(column: &[u8]) -> Vec<u8> {
    let images: Vec<Vec<u8>> = (0..IMAGES).map(|k| png(k as u8)).collect();
    parquet_writer::table(&[("image", false, &images), ("text", true, &rows_of(column))])
}

/// The images with a listing.
fn zip_of(listing: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(name, SimpleFileOptions::default()).expect("in memory");
        zip.write_all(bytes).expect("in memory");
    };
    (0..IMAGES).for_each(|k| add(&format!("i{k}.png"), &png(k as u8)));
    add("metadata.jsonl", listing);
    zip.finish().expect("in memory").into_inner()
}

/// The captions that the crate finds, by the stems of their images.
fn opened(path: &Path) -> Option<Found> {
    let source = Source::open(path, &SourceOptions::default()).ok()?;
    let mut found = Found::new();
    for record in source.records() {
        assert!(!record.captions.is_empty(), "{} without a caption", record.name);
        let inside = ["set.tar/", "set.parquet/"].iter();
        let base =
            inside.fold(&*record.name, |name, start| name.strip_prefix(start).unwrap_or(name));
        let (stem, _) = stem(base).unwrap_or((base, ""));
        found.entry(stem.to_owned()).or_default().extend(record.captions.iter().cloned());
    }
    Some(found)
}

/// Checks many broken versions of `content`, of which `build` makes the file; returns how often the set opened, and how
/// often it was refused.
fn check(
    draws: &mut Draws,
    path: &Path,
    file: &Path,
    content: &[u8],
    build: impl Fn(&[u8]) -> Vec<u8>,
    plain: impl Fn(&[u8]) -> Found,
) -> [usize; 2] {
    fs::write(file, build(content)).expect("writable");
    let whole = plain(content);
    assert!(whole.len() == IMAGES && opened(path).as_ref() == Some(&whole), "{whole:?}");
    let mut counts = [0; 2];
    for _ in 0..rounds(60) {
        let bytes = draws.mutate_text(content);
        fs::write(file, build(&bytes)).expect("writable");
        let Some(found) = opened(path) else {
            counts[1] += 1;
            continue;
        };
        counts[0] += 1;
        for (stem, captions) in plain(&bytes) {
            let of_image = found.get(&stem).cloned().unwrap_or_default();
            let lost: Vec<_> = captions.difference(&of_image).collect();
            let text = String::from_utf8_lossy(&bytes);
            assert!(lost.is_empty(), "{}: {stem} lost {lost:?} in {text}", file.display());
        }
    }
    counts
}

#[test]
fn what_a_plain_reader_finds_is_found() {
    let mut draws = Draws(18);
    let each = |line: &dyn Fn(usize) -> String| (0..IMAGES).map(line).collect::<String>();
    let lines = each(&|k| match k % 3 {
        0 => format!("{{\"file_name\":\"i{k}.png\",\"text\":\"number {k}\",\"n\":{k}.5}}\n"),
        1 => {
            format!("{{\"file_name\":\"i{k}.png\",\"captions\":[\"number {k}\",\"second {k}\"]}}\n")
        }
        _ => format!("{{\"caption\":\"number {k}\",\"file_name\":\"i{k}.png\",\"n\":null}}\n"),
    });
    let table = "file_name,text,n\n".to_owned() + &each(&|k| format!("i{k}.png,number {k},{k}\n"));
    let object = each(&|k| match k % 2 {
        0 => format!(",\"i{k}.png\":{{\"overall_caption\":\"number {k}\",\"n\":{k}}}"),
        _ => format!(",\"i{k}.png\":[\"number {k}\",\"second {k}\"]"),
    });
    let object = format!("{{{}}}", &object[1..]);
    for (name, content, plain) in [
        ("metadata.jsonl", lines.as_str(), of_lines as fn(&[u8]) -> Found),
        ("metadata.csv", &table, of_table),
        ("captions.json", &object, of_object),
        ("i0.txt", "one été\n\ntwo, three\n", of_text),
    ] {
        let dir = folder(&[]);
        for k in 0..IMAGES {
            fs::write(dir.path().join(format!("i{k}.png")), png(k as u8)).expect("writable");
            if name == "i0.txt" {
                let text = format!("number {k}");
                fs::write(dir.path().join(format!("i{k}.txt")), text).expect("writable");
            }
        }
        let file = dir.path().join(name);
        let counts =
            check(&mut draws, dir.path(), &file, content.as_bytes(), <[u8]>::to_vec, plain);
        println!("{name}: {} opened, {} refused", counts[0], counts[1]);
        assert!(counts[0] > 0, "{name}");
    }
    let mut tar = Builder::new(Vec::new());
    for k in 0..IMAGES {
        let text = if k % 2 == 0 {
            ("txt", format!("number {k}\nsecond"))
        } else {
            ("json", format!("{{\"caption\":\"number {k}\",\"n\":{k}}}"))
        };
        // Names with dots, too.
        let key = if k % 4 == 0 { format!("{k}.0{k}") } else { format!("k{k}") };
        for (ending, content) in [("png", png(k as u8)), (text.0, text.1.into_bytes())] {
            let mut header = Header::new_ustar();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, format!("{key}.{ending}"), &*content).expect("in memory");
        }
    }
    let dir = folder(&[]);
    let tar = tar.into_inner().expect("in memory");
    let column = each(&|k| format!("number {k}\n"));
    for (name, content, build, plain) in [
        (
            "set.tar",
            tar.as_slice(),
            <[u8]>::to_vec as fn(&[u8]) -> Vec<u8>,
            of_tar as fn(&[u8]) -> Found,
        ),
        ("set.zip", lines.as_bytes(), zip_of, of_lines),
        ("set.parquet", column.trim_end().as_bytes(), parquet_of, of_column),
    ] {
        let file = dir.path().join(name);
        let counts = check(&mut draws, &file, &file, content, build, plain);
        println!("{name}: {} opened, {} refused", counts[0], counts[1]);
        assert!(counts[0] > 0, "{name}");
    }
    check_peak(800);
}
