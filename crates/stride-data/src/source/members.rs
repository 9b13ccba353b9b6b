//! Which texts and images belong together, by their names alone: members of tars and files of folders.
//!
//! A name is a stem and an ending: `a/20.05` and `png`. A text belongs to the image with its stem; a part
//! that names captions may follow (`0.caption.txt`). In a tar, images whose stem goes on after that of a
//! text or another image (`0.mask.png` beside `0.jpg`) are images of the same thing: one of them is used.
//! A part that is a number (`20.05`) belongs to the stem.

use std::collections::{HashMap, HashSet};

use super::{fields, names};
use crate::ProblemKind;

/// What belongs together, by places in the lists of names.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The images in their order, with their texts.
    pub(super) images: Vec<(usize, Vec<usize>)>,
    /// Images that are not used, and why.
    pub(super) others: Vec<(usize, Other)>,
    /// Texts without an image.
    pub(super) orphans: Vec<usize>,
}

/// Why an image of a group is not used.
#[derive(Debug, PartialEq)]
pub(super) enum Other {
    /// This one is used, and that member would choose the other.
    Beside { used: usize, member: String },
    /// Nothing tells which of several is meant; these are there.
    Unclear { members: String },
    /// None of the wanted kind is there.
    Unwanted,
}

impl Other {
    /// The problem to report; `name` gives the full name of an image of the list.
    pub(super) fn problem(self, name: impl Fn(usize) -> String) -> ProblemKind {
        match self {
            Self::Beside { used, member } => ProblemKind::Beside { used: name(used), member },
            Self::Unclear { members } => ProblemKind::Unclear { members },
            Self::Unwanted => ProblemKind::Unwanted,
        }
    }
}

/// The members that the user names.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) captions: Option<&'a str>,
    pub(super) image: Option<&'a str>,
}

/// Whether a file is read for captions: by its ending, or by the part before that.
pub(super) fn is_text(name: &str, wanted: Option<&str>) -> bool {
    let Some((stem, ending)) = names::base(name).rsplit_once('.') else { return false };
    let part = stem.rsplit_once('.').map_or("", |(_, part)| part);
    match wanted {
        _ if ending.eq_ignore_ascii_case("json") => true,
        Some(wanted) => ending == wanted || part == wanted,
        None => fields::is_caption(ending),
    }
}

/// Puts texts to images, each an image of its own.
pub(super) fn texts_of(images: &[&str], texts: &[&str], wanted: Option<&str>) -> Groups {
    let of_stem = by_stem(images, texts, wanted);
    let of_image = |name: &&str| of_stem.get(names::without_ending(name)).cloned();
    let images = images.iter().map(of_image).map(Option::unwrap_or_default);
    let images: Vec<(usize, Vec<usize>)> = images.enumerate().collect();
    let orphans = without(texts.len(), images.iter().flat_map(|(_, texts)| texts.iter().copied()));
    Groups { images, others: Vec::new(), orphans }
}

/// Puts texts to images and images to each other, as in a tar.
pub(super) fn group_all(images: &[&str], texts: &[&str], wanted: Wanted<'_>) -> Groups {
    let mut stems: HashSet<&str> = images.iter().map(|name| names::without_ending(name)).collect();
    for (stem, part) in images.iter().filter_map(|name| last_part(names::without_ending(name))) {
        if fields::image_rank(part).is_some() || wanted.image == Some(part) {
            stems.insert(stem);
        }
    }
    let of_stem = by_stem(images, texts, wanted.captions);
    let mut order: Vec<&str> = Vec::new();
    let mut things: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
    for (index, name) in images.iter().enumerate() {
        let full = names::without_ending(name);
        let thing = thing_of(full, |stem| {
            of_stem.contains_key(stem) || stem.len() < full.len() && stems.contains(stem)
        });
        let of_thing = things.entry(thing).or_default();
        if of_thing.is_empty() {
            order.push(thing);
        }
        of_thing.push((index, full[thing.len()..].trim_start_matches('.')));
    }
    let mut groups = Groups::default();
    let mut used = Vec::new();
    for thing in order {
        let texts = of_stem.get(thing).cloned().unwrap_or_default();
        used.extend(texts.iter().copied());
        choose(images, &things[thing], &texts, wanted.image, &mut groups);
    }
    groups.images.sort_unstable();
    groups.others.sort_by_key(|(index, _)| *index);
    groups.orphans = without(texts.len(), used.into_iter());
    groups
}

/// The longest known stem that an image's begins with, without numbers between; its own if there is none.
fn thing_of(full: &str, is_known: impl Fn(&str) -> bool) -> &str {
    let mut stem = full;
    loop {
        if is_known(stem) {
            return stem;
        }
        match last_part(stem) {
            Some((shorter, part)) if !part.bytes().all(|b| b.is_ascii_digit()) => stem = shorter,
            _ => return full,
        }
    }
}

/// The texts of each stem, those of JSON last.
fn by_stem<'a>(
    images: &[&str],
    texts: &[&'a str],
    wanted: Option<&str>,
) -> HashMap<&'a str, Vec<usize>> {
    let stems: HashSet<&str> = images.iter().map(|name| names::without_ending(name)).collect();
    let mut of_stem: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, name) in texts.iter().enumerate() {
        of_stem.entry(text_stem(name, &stems, wanted)).or_default().push(index);
    }
    for found in of_stem.values_mut() {
        found.sort_by_key(|&index| (names::has_ending(texts[index], "json"), index));
    }
    of_stem
}

/// The places below `count` that are not used.
fn without(count: usize, used: impl Iterator<Item = usize>) -> Vec<usize> {
    let used: HashSet<usize> = used.collect();
    (0..count).filter(|index| !used.contains(index)).collect()
}

/// One image of a thing, with its texts; an image with the name of the one that is used stays, too, and is found
/// out as a repetition later.
fn choose(
    images: &[&str],
    candidates: &[(usize, &str)],
    texts: &[usize],
    wanted: Option<&str>,
    groups: &mut Groups,
) {
    let ending = |index: usize| images[index].rsplit_once('.').map_or("", |(_, ending)| ending);
    let whole = |index: usize, member: &str| match member {
        "" => ending(index).to_owned(),
        member => format!("{member}.{}", ending(index)),
    };
    let is_alone = candidates.iter().all(|(index, _)| images[*index] == images[candidates[0].0]);
    let used = match wanted {
        Some(wanted) => candidates.iter().find(|(index, member)| {
            *member == wanted || ending(*index) == wanted || whole(*index, member) == wanted
        }),
        None if is_alone => candidates.first(),
        None => candidates.iter().find(|(_, member)| member.is_empty()).or_else(|| {
            let named = candidates.iter();
            let named = named.filter_map(|c| Some((fields::image_rank(c.1)?, c)));
            named.min_by_key(|(rank, _)| *rank).map(|(_, candidate)| candidate)
        }),
    };
    for (index, member) in candidates {
        let other = match used {
            Some((used, _)) if images[*used] == images[*index] => {
                groups.images.push((*index, texts.to_vec()));
                continue;
            }
            Some((used, _)) => Other::Beside { used: *used, member: whole(*index, member) },
            None if wanted.is_some() => Other::Unwanted,
            None => {
                let members: Vec<String> = candidates.iter().map(|(i, m)| whole(*i, m)).collect();
                Other::Unclear { members: members.join(", ") }
            }
        };
        groups.others.push((*index, other));
    }
}

/// The stem of the image that a text belongs to.
fn text_stem<'a>(name: &'a str, stems: &HashSet<&str>, wanted: Option<&str>) -> &'a str {
    let stem = names::without_ending(name);
    match last_part(stem) {
        Some((shorter, part))
            if !stems.contains(stem) && (fields::is_caption(part) || wanted == Some(part)) =>
        {
            shorter
        }
        _ => stem,
    }
}

/// What comes before and after the last dot of the last part of a name.
fn last_part(stem: &str) -> Option<(&str, &str)> {
    let shorter = names::without_ending(stem);
    (shorter != stem).then(|| (shorter, &stem[shorter.len() + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Wanted<'_> = Wanted { captions: None, image: None };

    /// What is used, with its texts, and what is not.
    fn grouped(all: &[&str], wanted: Wanted<'_>) -> (Vec<String>, Vec<String>) {
        let of = |is_image: bool| -> Vec<&str> {
            let is_one = |name: &&&str| {
                if is_image { names::is_image(name) } else { is_text(name, wanted.captions) }
            };
            all.iter().filter(is_one).copied().collect()
        };
        let (images, texts) = (of(true), of(false));
        let groups = group_all(&images, &texts, wanted);
        let show = |(index, of_image): &(usize, Vec<usize>)| {
            let of_image: Vec<&str> = of_image.iter().map(|&index| texts[index]).collect();
            format!("{}: {}", images[*index], of_image.join(" "))
        };
        let used = groups.images.iter().map(show).collect();
        let others = groups.others.iter().map(|(index, _)| images[*index].to_owned());
        let orphans = groups.orphans.iter().map(|&index| texts[index].to_owned());
        (used, others.chain(orphans).collect())
    }

    #[test]
    fn texts_go_to_the_image_with_their_stem() {
        for (all, used, unused) in [
            (
                &["20.05.png", "20.05.txt", "21.05.png"][..],
                &["20.05.png: 20.05.txt", "21.05.png: "][..],
                &[][..],
            ),
            (&["20.png", "20.txt", "20.05.png"], &["20.png: 20.txt", "20.05.png: "], &[]),
            (&["0.json", "0.txt", "a/0.png", "0.jpg"], &["a/0.png: ", "0.jpg: 0.txt 0.json"], &[]),
            (&["0.jpg", "0.caption.txt", "1.txt"], &["0.jpg: 0.caption.txt"], &["1.txt"]),
            (&["0.jpg", "0.prompt", "0.cls"], &["0.jpg: 0.prompt"], &[]),
            (
                &["0.jpg", "0.mask.png", "0.depth.png", "0.txt"],
                &["0.jpg: 0.txt"],
                &["0.mask.png", "0.depth.png"],
            ),
            (&["0.mask.png", "0.image.png", "0.txt"], &["0.image.png: 0.txt"], &["0.mask.png"]),
            (&["0.mask.png", "0.image.png"], &["0.image.png: "], &["0.mask.png"]),
            (&["0.left.png", "0.right.png", "0.txt"], &[], &["0.left.png", "0.right.png"]),
            (&["0.view.png", "0.txt"], &["0.view.png: 0.txt"], &[]),
            (&["0.jpg", "0.png", "0.txt"], &["0.jpg: 0.txt"], &["0.png"]),
        ] {
            let found = grouped(all, ANY);
            let found: (Vec<&str>, Vec<&str>) = (
                found.0.iter().map(String::as_str).collect(),
                found.1.iter().map(String::as_str).collect(),
            );
            assert_eq!(found, (used.to_vec(), unused.to_vec()), "{all:?}");
        }
    }

    #[test]
    fn members_can_be_chosen() {
        let all = ["0.jpg", "0.mask.png", "0.txt", "0.blip.txt", "0.blip"];
        for (wanted, used) in [("mask", "0.mask.png"), ("mask.png", "0.mask.png"), ("jpg", "0.jpg")]
        {
            let wanted = Wanted { captions: Some("blip"), image: Some(wanted) };
            assert_eq!(grouped(&all, wanted).0, [format!("{used}: 0.blip.txt 0.blip")]);
        }
        let (used, others) = grouped(&all, Wanted { image: Some("depth"), ..ANY });
        assert!(used.is_empty() && others[..2] == ["0.jpg", "0.mask.png"], "{used:?} {others:?}");
    }

    #[test]
    fn files_of_a_folder_are_images_of_their_own() {
        let images = ["0.jpg", "0.mask.png", "0.png"];
        let groups = texts_of(&images, &["0.txt"], None);
        assert_eq!(groups.images, [(0, vec![0]), (1, vec![]), (2, vec![0])]);
        assert!(groups.others.is_empty() && groups.orphans.is_empty());
    }
}
