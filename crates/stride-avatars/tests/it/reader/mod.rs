//! An independent reader of captions: what does a sentence claim?
//!
//! It puts plain words in place of people's, and mends what is mistyped; it knows nouns and the words before them, not
//! how captions are made, and it refuses words that it does not know.

mod plain;
mod synonyms;
mod words;

use std::collections::BTreeMap;

pub(crate) use plain::words;
use words::{COLORS, EMPTY_MODIFIERS, MODIFIERS, NOUNS};

/// What a caption says about one attribute.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Key of the attribute in `metadata.jsonl`.
    pub(crate) key: &'static str,
    /// The values of which one must be true.
    allowed: Vec<&'static str>,
}

/// What somebody young can have: no gray hair, no beard, no bald head.
const YOUNG: &[(&str, &[&str])] = &[
    ("hair_color", &["none", "black", "brown", "red", "blond", "pink"]),
    ("facial_hair", &["none"]),
    (
        "hair",
        &[
            "afro",
            "bob",
            "bun",
            "covered",
            "cropped",
            "curly",
            "dreadlocks",
            "long straight",
            "long wavy",
            "pinned up",
            "short",
            "short curly",
            "short wavy",
            "shoulder-length",
            "spiky",
            "undercut",
        ],
    ),
];

/// The values that a word for a color can mean for an attribute.
fn colors(word: &str, key: &str) -> Vec<&'static str> {
    let of_hair: &[&str] = match (word, key) {
        ("dark", "hair_color") => &["black", "brown"],
        ("white", "hair_color") => &["gray"],
        ("orange", "hair_color") => &["red"],
        ("golden" | "yellow", "hair_color") => &["blond"],
        _ => &[],
    };
    let plain = COLORS.iter().filter(|(name, _)| *name == word).map(|(_, value)| *value);
    if of_hair.is_empty() { plain.collect() } else { of_hair.to_vec() }
}

fn is_color(word: &str) -> bool {
    COLORS.iter().any(|(name, _)| *name == word)
}

fn skin(word: &str) -> Option<&'static str> {
    match word {
        "light" | "pale" | "fair" | "white" => Some("light"),
        "tan" => Some("tan"),
        "brown" => Some("brown"),
        "dark" | "black" => Some("dark"),
        _ => None,
    }
}

/// The key of the color of what a noun names.
fn color_key(noun: &str, key: &str) -> Option<&'static str> {
    match (noun, key) {
        (_, "hair" | "facial_hair") => Some("hair_color"),
        (_, "headwear") => Some("headwear_color"),
        (_, "garment") => Some("garment_color"),
        ("background", _) => Some("background"),
        _ => None,
    }
}

fn is_modifier(word: &str) -> bool {
    is_color(word)
        || skin(word).is_some()
        || MODIFIERS.iter().any(|(modifier, ..)| *modifier == word)
        || EMPTY_MODIFIERS.iter().any(|(modifier, _)| *modifier == word)
}

fn is_empty(word: &str, noun: &str) -> bool {
    EMPTY_MODIFIERS.iter().any(|(modifier, of)| *modifier == word && (of.is_empty() || *of == noun))
}

fn is_noun(word: &str) -> bool {
    NOUNS.iter().any(|(noun, ..)| *noun == word)
}

/// "v-neck" narrows "shirt", and is a noun before everything else.
fn modifies(word: &str, noun: &str, key: &str) -> bool {
    let is_age = key == "gender" && matches!(word, "old" | "young");
    let is_special = MODIFIERS.iter().any(|(modifier, of, _)| *modifier == word && *of == noun);
    let is_plain = is_color(word)
        || skin(word).is_some()
        || MODIFIERS.iter().any(|(modifier, ..)| *modifier == word);
    is_age || is_special || is_empty(word, noun) || (is_plain && !is_noun(word))
}

/// Everything that `caption` claims.
pub(crate) fn claims(caption: &str) -> Result<Vec<Claim>, String> {
    let words = plain::plain_words(caption)?;
    let mut claims = vec![];
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map_or("", String::as_str);
        if let Some((tone, "skinned")) = word.split_once('-') {
            let tone = skin(tone).ok_or_else(|| format!("no skin tone: {word}"))?;
            claims.push(Claim { key: "skin", allowed: vec![tone] });
        } else if let Some((name, "haired")) = word.split_once('-') {
            let allowed = colors(name, "hair_color");
            if allowed.is_empty() {
                return Err(format!("no hair color: {word}"));
            }
            claims.push(Claim { key: "hair_color", allowed });
        } else if is_noun(word) {
            for (noun, key, values) in NOUNS.iter().filter(|(noun, ..)| noun == word) {
                read_noun(&words[..at], noun, key, values, &mut claims)?;
            }
            if word == "background" && next == "is" {
                let after = words[at + 2..].iter().take_while(|word| is_modifier(word));
                for color in after.filter(|word| is_color(word)) {
                    claims.push(Claim { key: "background", allowed: colors(color, "background") });
                }
            }
        } else if is_color(word) && at > 0 && words[at - 1] == "in" && !is_modifier(next) {
            // "dressed in red"
            if !is_noun(next) {
                claims.push(Claim { key: "garment_color", allowed: colors(word, "garment_color") });
            }
        } else if !is_modifier(word) && !plain::is_function_word(word) {
            return Err(format!("unknown word `{word}`"));
        }
        if word == "shaved" {
            claims.push(Claim { key: "hair", allowed: vec!["undercut"] });
        }
    }
    Ok(claims)
}

fn read_noun(
    before: &[String],
    noun: &str,
    key: &'static str,
    values: &[&'static str],
    claims: &mut Vec<Claim>,
) -> Result<(), String> {
    let modifiers: Vec<&str> = before
        .iter()
        .rev()
        .map(String::as_str)
        .take_while(|word| modifies(word, noun, key))
        .collect();
    let lead = &before[..before.len() - modifiers.len()];
    let lead: Vec<&str> = lead.iter().rev().take(3).map(String::as_str).collect();
    let absent = matches!(
        lead.as_slice(),
        ["no" | "without", ..]
            | ["a", "without", ..]
            | ["or", "glasses" | "eyeglasses", ..]
            | ["a", "or", ..]
    );
    if absent {
        // "no hair" is a bald head; hats, glasses and beards are simply not there.
        let value = if noun == "hair" { "bald" } else { "none" };
        claims.push(Claim { key, allowed: vec![value] });
        return Ok(());
    }
    if lead.first() == Some(&"the") {
        // "flowers in the hair", "to the side", "at the sides".
        if noun == "hair" {
            return Ok(());
        }
    }
    if !values.is_empty() {
        claims.push(Claim { key, allowed: values.to_vec() });
    }
    for modifier in modifiers {
        if noun == "skin" {
            if let Some(tone) = skin(modifier) {
                claims.push(Claim { key: "skin", allowed: vec![tone] });
            } else if !is_empty(modifier, noun) {
                return Err(format!("{modifier} skin"));
            }
        } else if key == "gender" {
            read_person(modifier, claims);
        } else if let Some((.., values)) =
            MODIFIERS.iter().find(|(word, of, _)| *word == modifier && *of == noun)
        {
            claims.push(Claim { key, allowed: values.to_vec() });
        } else if is_empty(modifier, noun) {
            // It claims nothing.
        } else if let Some(key) = color_key(noun, key)
            && let allowed = colors(modifier, key)
            && !allowed.is_empty()
        {
            claims.push(Claim { key, allowed });
        } else if !(modifier == "light" && noun == "background") {
            return Err(format!("`{modifier} {noun}` means nothing"));
        }
    }
    Ok(())
}

/// "old", "black" and "blond" tell of a person what they tell of nothing else.
fn read_person(modifier: &str, claims: &mut Vec<Claim>) {
    let mut claim = |key, allowed: &[&'static str]| {
        claims.push(Claim { key, allowed: allowed.to_vec() });
    };
    match modifier {
        "old" => claim("hair_color", &["gray"]),
        "young" => YOUNG.iter().for_each(|(key, allowed)| claim(key, allowed)),
        "black" => claim("skin", &["brown", "dark"]),
        "white" | "pale" => claim("skin", &["light"]),
        "tan" => claim("skin", &["tan"]),
        _ => {
            let allowed = colors(modifier, "hair_color");
            if !allowed.is_empty() {
                claim("hair_color", &allowed);
            }
        }
    }
}

/// Whether everything that `caption` claims is true of the image.
pub(crate) fn check(
    caption: &str,
    attributes: &BTreeMap<&'static str, &'static str>,
) -> Result<(), String> {
    for claim in claims(caption)? {
        let value = attributes[claim.key];
        if !claim.allowed.contains(&value) {
            return Err(format!("claims {claim:?}, but it is `{value}`"));
        }
    }
    Ok(())
}
