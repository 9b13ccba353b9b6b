//! Which files of a folder or zip are its images, and what other files say of them.

use std::collections::{BTreeMap, HashMap};

use super::captions::{Captions, utf8};
use super::record::{Layout, Place, Record};
use super::tree::Tree;
use super::{celeba, listing, names};
use crate::{CelebaAttributes, Limits, Problem};

/// Folders that hold ten captions of each image in MM-CelebA-HQ.
const CAPTION_FOLDERS: [&str; 2] = ["text", "celeba-caption"];

/// Folders of CelebA's images; where there is one, images elsewhere are something else.
const IMAGE_FOLDERS: [&str; 2] = ["CelebA-HQ-img", "img_align_celeba"];

/// The folder of CelebAMask-HQ's masks.
const MASK_FOLDER: &str = "CelebAMask-HQ-mask-anno";

/// The layout and the records of a tree: by its listings if it has one, else by the files there.
pub(super) fn records(
    tree: &Tree,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> (Layout, Vec<Record>) {
    let listings = listing::find(tree);
    if !listings.is_empty() {
        let read = |file: &String| listing::read(tree, file, limits, problems);
        return (Layout::Metadata, listings.iter().flat_map(read).collect());
    }
    let images = images(tree);
    let known = Known::read(tree, problems);
    let mut has_text_beside = false;
    let mut records = Vec::with_capacity(images.len());
    for name in images {
        let mut captions = Captions::new(limits);
        let stem = names::stem(name);
        let beside = format!("{}.txt", names::without_ending(name));
        if tree.contains(&beside) {
            has_text_beside = true;
            let texts = text_file(tree, &beside, limits, problems);
            captions.extend(&beside, texts.iter().map(String::as_str), problems);
        }
        for file in known.texts.get(stem).into_iter().flatten().filter(|file| **file != beside) {
            let texts = text_file(tree, file, limits, problems);
            captions.extend(file, texts.iter().map(String::as_str), problems);
        }
        if let Some(texts) = known.captions.get(stem) {
            captions.extend(name, texts.iter().map(String::as_str), problems);
        }
        records.push(Record {
            name: name.to_owned(),
            captions: captions.into_vec(),
            attributes: known.attributes.get(stem).copied(),
            place: Place::Tree,
        });
    }
    (known.layout(tree, has_text_beside), records)
}

fn images(tree: &Tree) -> Vec<&str> {
    let lies_in = |name: &str, folder: &str| names::folder(name).split('/').any(|p| p == folder);
    let all = || tree.names().filter(|name| names::is_image(name));
    for folder in IMAGE_FOLDERS {
        let found: Vec<&str> = all().filter(|name| lies_in(name, folder)).collect();
        if !found.is_empty() {
            return found;
        }
    }
    all().filter(|name| !lies_in(name, MASK_FOLDER)).collect()
}

/// What tables and folders of texts say, by the stems of images.
struct Known {
    attributes: HashMap<String, CelebaAttributes>,
    captions: HashMap<String, Vec<String>>,
    texts: BTreeMap<String, Vec<String>>,
}

impl Known {
    fn read(tree: &Tree, problems: &mut Vec<Problem>) -> Self {
        let mut known =
            Self { attributes: HashMap::new(), captions: HashMap::new(), texts: BTreeMap::new() };
        for name in tree.names() {
            let parent = names::base(names::folder(name).trim_end_matches('/'));
            if celeba::is_attribute_table(name) {
                celeba::read_attributes(tree, name, &mut known.attributes, problems);
            } else if names::base(name) == "captions.json" {
                celeba::read_captions(tree, name, &mut known.captions, problems);
            } else if names::has_ending(name, "txt") && CAPTION_FOLDERS.contains(&parent) {
                known.texts.entry(names::stem(name).to_owned()).or_default().push(name.to_owned());
            }
        }
        known
    }

    fn layout(&self, tree: &Tree, has_text_beside: bool) -> Layout {
        let has = |base: &str| tree.names().any(|name| names::base(name).starts_with(base));
        if has("CelebAMask-HQ-attribute-anno") {
            Layout::CelebaMaskHq
        } else if has("list_attr_celeba") {
            Layout::Celeba
        } else if has("captions.json") {
            Layout::CelebaDialog
        } else if has_text_beside {
            Layout::TextFiles
        } else if !self.texts.is_empty() {
            Layout::MmCelebaHq
        } else {
            Layout::Images
        }
    }
}

/// The lines of a text file; a file that cannot be read is a problem of its own.
fn text_file(tree: &Tree, name: &str, limits: &Limits, problems: &mut Vec<Problem>) -> Vec<String> {
    let read = tree.read(name, limits.max_text_bytes());
    match read.and_then(|bytes| Ok(utf8(&bytes)?.lines().map(str::to_owned).collect())) {
        Ok(lines) => lines,
        Err(kind) => {
            problems.push(Problem::new(name, kind));
            Vec::new()
        }
    }
}
