//! Which fields, columns and members hold captions and images, by the names that people give them.
//!
//! One list for every layout: fields of JSON and CSV, columns of Parquet, members of tars, folders of texts.

use serde_json::Value;
use strsim::osa_distance;

/// Captions, in this order; all that are there count.
const CAPTIONS: [&str; 5] = ["text", "caption", "captions", "txt", "texts"];

/// Captions where there is none of [`CAPTIONS`], which may stand beside as something else.
const PROMPTS: [&str; 6] =
    ["prompt", "prompts", "description", "descriptions", "sentence", "sentences"];

/// Images, or the names of their files.
const IMAGES: [&str; 8] = ["image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp"];

/// Names of files of images in listings, in this order.
const FILE_NAMES: [&str; 12] = [
    "file_name",
    "filename",
    "file",
    "file_path",
    "filepath",
    "image",
    "image_path",
    "image_file",
    "image_name",
    "img",
    "img_path",
    "path",
];

/// Parts of names that look like captions and are not known: what an error points to.
const HINTS: [&str; 7] = ["capt", "text", "prompt", "descr", "sentence", "title", "tags"];

/// A field by the names from the outermost on; lists do not count.
pub(super) type Path<'a> = Vec<&'a str>;

/// The fields of captions among `paths`, in the order of the list.
///
/// The last name of a field counts. Of fields that match, those nearest to the root are taken.
/// `wanted` names one by its last name or by all of them, parted by dots.
pub(super) fn captions(paths: &[Path<'_>], wanted: Option<&str>) -> Vec<usize> {
    if let Some(wanted) = wanted {
        let is_it = |path: &Path<'_>| is_named(path, wanted);
        let found: Vec<usize> = (0..paths.len()).filter(|&index| is_it(&paths[index])).collect();
        if !found.is_empty() {
            return found;
        }
        let below = |path: &Path<'_>| path.join(".").starts_with(&format!("{wanted}."));
        let below: Vec<usize> = (0..paths.len()).filter(|&index| below(&paths[index])).collect();
        return match below.as_slice() {
            [_] => below,
            several => {
                let inner: Vec<Path<'_>> = several.iter().map(|&k| paths[k].clone()).collect();
                captions(&inner, None).into_iter().map(|k| several[k]).collect()
            }
        };
    }
    let ranks: [fn(&str) -> Option<usize>; 2] = [caption_rank, prompt_rank];
    for rank in ranks {
        let ranked = paths.iter().enumerate().filter_map(|(index, path)| {
            Some((path.len(), rank(path.last()?)?, path.join("."), index))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort();
        if let Some(&(depth, ..)) = ranked.first() {
            return ranked.into_iter().filter(|f| f.0 == depth).map(|f| f.3).collect();
        }
    }
    Vec::new()
}

/// The place of an image's name in the list, the best first.
pub(super) fn image_rank(name: &str) -> Option<usize> {
    let name = plain(name);
    IMAGES.iter().position(|&known| known == name)
}

/// The field with the name of an image's file, among names.
pub(super) fn file_name(names: &[&str], wanted: Option<&str>) -> Option<usize> {
    match wanted {
        Some(wanted) => names.iter().position(|name| name.trim() == wanted),
        None => {
            FILE_NAMES.iter().find_map(|&known| names.iter().position(|name| plain(name) == known))
        }
    }
}

/// Whether this is what people call captions.
pub(super) fn is_caption(name: &str) -> bool {
    caption_rank(name).is_some() || prompt_rank(name).is_some()
}

/// Whether a field is the wanted one.
pub(super) fn is_named(path: &Path<'_>, wanted: &str) -> bool {
    path.last().is_some_and(|last| last.trim() == wanted) || path.join(".") == wanted
}

/// Whether a name that is not in the list may have been meant.
pub(super) fn is_near(name: &str) -> bool {
    let name = name.to_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    HINTS.iter().any(|hint| name.contains(hint) || osa_distance(hint, last) <= 1)
        || CAPTIONS
            .iter()
            .chain(&PROMPTS)
            .any(|known| known.len() > 3 && osa_distance(known, last) <= 2)
}

/// The texts of a value of JSON by their fields; blank ones, numbers and the like are none.
pub(super) fn texts(value: &Value) -> Vec<(Path<'_>, Vec<&str>)> {
    let mut found = Vec::new();
    collect(value, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &mut Path<'a>, found: &mut Vec<(Path<'a>, Vec<&'a str>)>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => {
            match found.iter_mut().find(|(known, _)| known == path) {
                Some((_, texts)) => texts.push(text),
                None => found.push((path.clone(), vec![text])),
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, path, found)),
        Value::Object(members) => {
            for (name, value) in members {
                path.push(name);
                collect(value, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn caption_rank(name: &str) -> Option<usize> {
    let name = plain(name);
    let known = CAPTIONS.iter().position(|&known| known == name);
    known.or_else(|| {
        let is_kind = name.ends_with("caption") || name.ends_with("captions");
        is_kind.then_some(CAPTIONS.len())
    })
}

fn prompt_rank(name: &str) -> Option<usize> {
    let name = plain(name);
    PROMPTS.iter().position(|&known| known == name)
}

/// In lower case, with `_` between words and without a number at the end.
fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase().replace(['-', ' '], "_");
    let is_number = |c: char| c == '_' || c.is_ascii_digit();
    let base = name.trim_end_matches(is_number);
    if base.is_empty() { name } else { base.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chosen(names: &[&str], wanted: Option<&str>) -> Vec<String> {
        let paths: Vec<Path<'_>> = names.iter().map(|name| name.split('.').collect()).collect();
        captions(&paths, wanted).into_iter().map(|index| names[index].to_owned()).collect()
    }

    #[test]
    fn captions_are_found_by_their_names() {
        for (names, expected) in [
            (&["captions", "text", "id"][..], &["text", "captions"][..]),
            (&["url", "TEXT"], &["TEXT"]),
            (&["Caption 2", "caption_0"], &["Caption 2", "caption_0"]),
            (&["blip_caption", "caption_score"], &["blip_caption"]),
            // What was asked of another model is not what the image shows.
            (&["prompt", "caption"], &["caption"]),
            (&["prompt", "negative_prompt"], &["prompt"]),
            (&["captions.language", "captions.caption"], &["captions.caption"]),
            (&["answers.text", "caption"], &["caption"]),
            (&["captoin", "label"], &[]),
        ] {
            assert_eq!(chosen(names, None), expected, "{names:?}");
        }
    }

    #[test]
    fn a_wanted_field_is_the_only_one() {
        assert_eq!(chosen(&["text", "blip"], Some("blip")), ["blip"]);
        assert_eq!(chosen(&["a.value", "b.value"], Some("a.value")), ["a.value"]);
        assert_eq!(chosen(&["a.value"], Some("a")), ["a.value"]);
        assert_eq!(chosen(&["a.language", "a.caption"], Some("a")), ["a.caption"]);
        assert!(chosen(&["a.language", "a.value", "text"], Some("a")).is_empty());
    }

    #[test]
    fn what_was_meant_is_near() {
        for name in ["captoin", "txet", "label_text", "captions.en", "a.cpation", "title", "titel"]
        {
            assert!(is_near(name), "{name}");
        }
        for name in ["width", "url", "key", "id", "test_id", "seed"] {
            assert!(!is_near(name), "{name}");
        }
    }

    #[test]
    fn texts_of_json_have_fields() {
        let value = json!({"a": [{"b": "one", "c": 3}, {"b": "two"}], "d": " ", "e": null});
        assert_eq!(texts(&value), [(vec!["a", "b"], vec!["one", "two"])]);
        assert_eq!(texts(&json!(["one", "two"])), [(vec![], vec!["one", "two"])]);
    }
}
