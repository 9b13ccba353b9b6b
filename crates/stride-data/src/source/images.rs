//! Which files of a folder or zip are its images, and what other files say of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::captions::{Captions, texts_in};
use super::encoding;
use super::listing::{self, Listed};
use super::members::{self, Groups, Wanted};
use super::record::{Layout, Place, Record};
use super::search::Search;
use super::tree::Tree;
use super::{celeba, fields, json, names};
use crate::{CelebaAttributes, ProblemKind};

/// Folders of CelebA's images; where there is one, images elsewhere are something else.
const IMAGE_FOLDERS: [&str; 2] = ["CelebA-HQ-img", "img_align_celeba"];

/// The folder of CelebAMask-HQ's masks.
const MASK_FOLDER: &str = "CelebAMask-HQ-mask-anno";

/// The layout and the records of a tree: by its listings if it has one, else by the files there.
///
/// Texts beside an image count where its listing says nothing.
pub(super) fn records(tree: &Tree, search: &mut Search<'_>) -> (Layout, Vec<Record>) {
    let listings = listing::find(tree);
    let mut listed = Listed::default();
    listings.iter().for_each(|file| listed.read(tree, file, search));
    let images = images(tree);
    let known = Known::read(tree, search);
    let has_listing = !listings.is_empty();
    let alone = |name: &str| Record::new(name.to_owned(), Vec::new(), Place::Tree);
    let (mut records, groups) = if has_listing {
        for name in images.iter().filter(|name| !listed.contains(name)) {
            search.problem(*name, ProblemKind::Unlisted);
        }
        let records = listed.into_records();
        let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
        let groups = members::texts_of(&names, &known.texts, search.caption_column());
        (records, groups)
    } else if search.image_column().is_some() {
        // The user names one of several images of the same thing, as members of a tar are named.
        let wanted = Wanted { captions: search.caption_column(), image: search.image_column() };
        let mut groups = members::group_all(&images, &known.texts, wanted);
        for (index, other) in std::mem::take(&mut groups.others) {
            search.problem(images[index], other.problem(|used| images[used].to_owned()));
        }
        let records = groups.images.iter().map(|&(index, _)| alone(images[index])).collect();
        groups.images.iter_mut().enumerate().for_each(|(place, (index, _))| *index = place);
        (records, groups)
    } else {
        let groups = members::texts_of(&images, &known.texts, search.caption_column());
        (images.iter().map(|name| alone(name)).collect(), groups)
    };
    let has_text_beside = known.add_to(&mut records, groups, tree, search);
    for (name, ending) in tree.names().filter_map(|name| Some((name, names::other_image(name)?))) {
        if records.iter().all(|record| record.name != name) {
            search.problem(name, ProblemKind::OtherFormat(ending));
        }
    }
    let is_read = |name: &str| names::is_image(name) || listings.iter().any(|file| file == name);
    for name in tree.names().filter(|name| !is_read(name) && !celeba::is_caption_table(name)) {
        search.saw_file(name);
    }
    let layout = if has_listing { Layout::Metadata } else { known.layout(tree, has_text_beside) };
    (layout, records)
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

/// What tables and texts say of images.
#[derive(Default)]
struct Known<'a> {
    /// By the stems of images.
    attributes: HashMap<String, CelebaAttributes>,
    captions: HashMap<String, Vec<String>>,
    /// Texts in folders of texts, as those of MM-CelebA-HQ.
    folders: BTreeMap<&'a str, Vec<&'a str>>,
    /// Other texts.
    texts: Vec<&'a str>,
}

impl<'a> Known<'a> {
    fn read(tree: &'a Tree, search: &mut Search<'_>) -> Self {
        let mut known = Self::default();
        for name in tree.names() {
            let parent = names::base(names::folder(name).trim_end_matches('/'));
            if celeba::is_attribute_table(name) {
                celeba::read_attributes(tree, name, &mut known.attributes, search);
            } else if celeba::is_caption_table(name) {
                celeba::read_captions(tree, name, &mut known.captions, search);
            } else if names::has_ending(name, "txt") && fields::is_caption(parent) {
                known.folders.entry(names::stem(name)).or_default().push(name);
            } else if members::is_text(name, search.caption_column()) {
                known.texts.push(name);
            }
        }
        known
    }

    /// Adds attributes and, where there are none yet, captions; whether a text lies beside an image.
    fn add_to(
        &self,
        records: &mut [Record],
        groups: Groups,
        tree: &Tree,
        search: &mut Search<'_>,
    ) -> bool {
        let mut has_text_beside = false;
        for (image, texts) in groups.images {
            let record = &mut records[image];
            let stem = names::stem(&record.name);
            record.face = record.face.or_else(|| self.attributes.get(stem).copied());
            if !record.captions.is_empty() {
                continue;
            }
            let mut captions = Captions::default();
            let beside = texts.iter().map(|&index| self.texts[index]);
            let elsewhere = self.folders.get(stem).into_iter().flatten().copied();
            for file in beside.chain(elsewhere) {
                read_text(tree, file, &mut captions, search);
            }
            has_text_beside |= !texts.is_empty();
            if let Some(texts) = self.captions.get(stem) {
                captions.extend(&record.name, texts.iter().map(String::as_str), search);
            }
            record.captions = captions.into_vec();
        }
        let stems: HashSet<&str> = records.iter().map(|record| names::stem(&record.name)).collect();
        let without = self.folders.iter().filter(|(stem, _)| !stems.contains(*stem));
        let orphans = groups.orphans.iter().map(|&index| self.texts[index]);
        // Beside images there is JSON of many kinds.
        let orphans = orphans.filter(|name| !names::has_ending(name, "json"));
        for name in without.flat_map(|(_, files)| files.iter().copied()).chain(orphans) {
            search.problem(name, ProblemKind::NoImage);
        }
        has_text_beside
    }

    fn layout(&self, tree: &Tree, has_text_beside: bool) -> Layout {
        let has = |base: &str| tree.names().any(|name| names::base(name).starts_with(base));
        if has("CelebAMask-HQ-attribute-anno") {
            Layout::CelebaMaskHq
        } else if has("list_attr_celeba") {
            Layout::Celeba
        } else if tree.names().any(celeba::is_caption_table) {
            Layout::CelebaDialog
        } else if has_text_beside {
            Layout::TextFiles
        } else if !self.folders.is_empty() {
            Layout::MmCelebaHq
        } else {
            Layout::Images
        }
    }
}

/// Adds the captions of a text file; a file that cannot be read is a problem of its own.
fn read_text(tree: &Tree, name: &str, captions: &mut Captions, search: &mut Search<'_>) {
    let read = tree.read(name, search.options.limits.max_text_bytes());
    match read.and_then(|bytes| texts_of(name, &bytes, search)) {
        Ok(texts) => captions.extend(name, texts.iter().map(String::as_str), search),
        Err(kind) => search.problem(name, kind),
    }
}

/// A text, or the texts of captions in JSON.
///
/// # Errors
/// When it is no text, or no JSON.
pub(super) fn texts_of(
    name: &str,
    bytes: &[u8],
    search: &mut Search<'_>,
) -> Result<Vec<String>, ProblemKind> {
    let text = encoding::decode(bytes)?;
    if !names::has_ending(name, "json") {
        return Ok(vec![text.into_owned()]);
    }
    let value = json::parse(&text).map_err(ProblemKind::Corrupt)?;
    Ok(texts_in(&value, search).into_iter().map(str::to_owned).collect())
}
