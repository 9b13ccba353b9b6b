//! Reads the listing of an image folder in the Hugging Face `imagefolder` layout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::{ContentHash, DataError};

/// An image folder with its `metadata.jsonl`, in the order of the listing.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// The images.
    pub images: Vec<CaptionedImage>,
}

/// One image of a folder with its captions and attributes.
#[derive(Clone, Debug)]
pub struct CaptionedImage {
    /// The image file.
    pub path: PathBuf,
    /// Its name in the listing.
    pub file_name: String,
    /// Line of the listing, from 1.
    pub line: usize,
    /// Captions, the one for validation first; never empty.
    pub captions: Vec<String>,
    /// Its attributes, such as `hair` = `bob`; empty if the listing has none.
    pub attributes: BTreeMap<String, String>,
}

/// One line of `metadata.jsonl`; other fields are ignored, since data sets have fields of their own.
#[derive(Deserialize)]
struct Line {
    file_name: String,
    text: Option<String>,
    #[serde(default)]
    captions: Vec<String>,
    /// Any JSON value, since other data sets may use the name for something else.
    #[serde(default)]
    attributes: Value,
}

impl ImageFolder {
    /// Reads `metadata.jsonl` of a folder, at most `max_images` of its lines.
    ///
    /// A line is a JSON object with `file_name` (relative to the folder) and `text`, `captions` (a
    /// list) or both; with both, `text` comes first. The values of an object `attributes` may be
    /// strings, numbers or booleans. Images are not opened.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is not such an object, has no caption, or names a file
    /// outside the folder.
    pub fn open(dir: &Path, max_images: Option<usize>) -> Result<Self, DataError> {
        let metadata = dir.join("metadata.jsonl");
        let text = stride_files::read_text_file(&metadata).map_err(DataError::io(&metadata))?;
        let images = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .take(max_images.unwrap_or(usize::MAX))
            .map(|(index, line)| {
                read_line(dir, line, index + 1).map_err(|problem| DataError::Metadata {
                    path: metadata.clone(),
                    line: index + 1,
                    problem,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() {
            return Err(DataError::Empty { path: metadata });
        }
        Ok(Self { images })
    }

    /// The hash of names, file sizes and captions in their order.
    ///
    /// # Errors
    /// When an image file is missing.
    pub fn content_hash(&self) -> Result<ContentHash, DataError> {
        let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
        for image in &self.images {
            let size = fs::metadata(&image.path).map_err(DataError::io(&image.path))?.len();
            parts.push(image.file_name.as_bytes().into());
            parts.push(size.to_le_bytes().to_vec().into());
            parts.extend(image.captions.iter().map(|caption| caption.as_bytes().into()));
        }
        Ok(ContentHash::of_parts(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
    }
}

fn read_line(dir: &Path, line: &str, number: usize) -> Result<CaptionedImage, String> {
    let Line { file_name, text, captions, attributes } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let inside = Path::new(&file_name)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || file_name.is_empty() {
        return Err(format!("file_name \"{file_name}\" must be a relative path inside the folder"));
    }
    let mut all: Vec<String> = text.into_iter().collect();
    for caption in captions {
        if !all.contains(&caption) {
            all.push(caption);
        }
    }
    if all.is_empty() {
        return Err(format!(
            "{file_name} has no caption; expected \"text\" or a non-empty list \"captions\""
        ));
    }
    Ok(CaptionedImage {
        path: dir.join(&file_name),
        file_name,
        line: number,
        captions: all,
        attributes: named_values(attributes),
    })
}

/// The attributes whose value is a string, a number or a boolean.
fn named_values(attributes: Value) -> BTreeMap<String, String> {
    let Value::Object(attributes) = attributes else { return BTreeMap::new() };
    let named = |(name, value)| match value {
        Value::String(value) => Some((name, value)),
        Value::Bool(value) => Some((name, if value { "yes" } else { "no" }.to_owned())),
        Value::Number(value) => Some((name, value.to_string())),
        _ => None,
    };
    attributes.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(metadata: &str) -> Result<ImageFolder, DataError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("metadata.jsonl"), metadata).expect("writable");
        ImageFolder::open(dir.path(), None)
    }

    #[test]
    fn text_comes_before_captions_without_repeats() {
        let folder = open(
            "{\"file_name\":\"a.png\",\"text\":\"one\",\"captions\":[\"one\",\"two\"],\"seed\":3}\n\n\
             {\"file_name\":\"b.png\",\"captions\":[\"three\"]}\n",
        )
        .expect("valid listing");
        assert_eq!(folder.images[0].captions, ["one", "two"]);
        assert_eq!(folder.images[1].captions, ["three"]);
        assert_eq!(folder.images[1].line, 3);
    }

    #[test]
    fn attributes_are_texts_whatever_they_were() {
        let folder = open(
            "{\"file_name\":\"a.png\",\"text\":\"x\",\"attributes\":{\"hair\":\"bob\",\"male\":true,\"age\":3,\"box\":[1]}}\n\
             {\"file_name\":\"b.png\",\"text\":\"y\",\"attributes\":[\"bob\"]}\n",
        )
        .expect("valid listing");
        let named: Vec<_> = folder.images[0].attributes.iter().collect();
        let expected = [("age", "3"), ("hair", "bob"), ("male", "yes")];
        assert_eq!(
            named,
            expected
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .iter()
                .map(|(a, b)| (a, b))
                .collect::<Vec<_>>()
        );
        assert!(folder.images[1].attributes.is_empty());
    }

    #[test]
    fn broken_lines_are_named() {
        for (metadata, expected) in [
            ("{\"file_name\":\"a.png\",\"text\":\"x\"}\n{\"file_name\":", "line 2"),
            ("{\"file_name\":\"a.png\"}", "no caption"),
            ("{\"file_name\":\"../a.png\",\"text\":\"x\"}", "inside the folder"),
            ("{\"file_name\":\"/etc/a.png\",\"text\":\"x\"}", "inside the folder"),
            ("\n", "no images"),
        ] {
            let message = open(metadata).expect_err("must fail").to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
