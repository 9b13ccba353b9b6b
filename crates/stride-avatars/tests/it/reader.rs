//! An independent reader of captions: what does a sentence claim?
//!
//! It knows nouns and the words before them, not how captions are made, and it refuses
//! words that it does not know.

use std::collections::BTreeMap;

/// What a caption says about one attribute.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Key of the attribute in `metadata.jsonl`.
    pub(crate) key: &'static str,
    /// The values of which one must be true.
    allowed: Vec<&'static str>,
}

const COLORS: &[(&str, &str)] = &[
    ("black", "black"),
    ("white", "white"),
    ("gray", "gray"),
    ("grey", "gray"),
    ("red", "red"),
    ("ginger", "red"),
    ("orange", "orange"),
    ("yellow", "yellow"),
    ("blond", "blond"),
    ("blonde", "blond"),
    ("fair", "blond"),
    ("green", "green"),
    ("blue", "blue"),
    ("purple", "purple"),
    ("pink", "pink"),
    ("brown", "brown"),
];

/// Nouns, the attribute that they are about and the values that they allow; an empty
/// list means that the noun alone claims nothing.
const NOUNS: &[(&str, &str, &[&str])] = &[
    ("man", "gender", &["man"]),
    ("guy", "gender", &["man"]),
    ("gentleman", "gender", &["man"]),
    ("male", "gender", &["man"]),
    ("woman", "gender", &["woman"]),
    ("lady", "gender", &["woman"]),
    ("female", "gender", &["woman"]),
    ("skin", "skin", &[]),
    ("hair", "hair", &[]),
    ("undercut", "hair", &["undercut"]),
    ("bob", "hair", &["bob"]),
    ("bun", "hair", &["bun"]),
    ("afro", "hair", &["afro"]),
    ("dreadlocks", "hair", &["dreadlocks"]),
    ("bald", "hair", &["bald"]),
    ("beard", "facial_hair", &["short beard", "full beard", "long beard"]),
    ("bearded", "facial_hair", &["short beard", "full beard", "long beard"]),
    ("moustache", "facial_hair", &["moustache"]),
    ("mustache", "facial_hair", &["moustache"]),
    ("goatee", "facial_hair", &["goatee"]),
    ("clean-shaven", "facial_hair", &["none"]),
    ("glasses", "glasses", &["glasses", "round glasses"]),
    ("eyeglasses", "glasses", &["glasses", "round glasses"]),
    ("spectacles", "glasses", &["glasses", "round glasses"]),
    ("sunglasses", "glasses", &["sunglasses"]),
    ("shades", "glasses", &["sunglasses"]),
    ("turban", "headwear", &["turban"]),
    ("hijab", "headwear", &["hijab"]),
    ("headscarf", "headwear", &["hijab"]),
    ("beanie", "headwear", &["beanie"]),
    ("flowers", "headwear", &["flower crown"]),
    ("crown", "headwear", &["flower crown"]),
    ("hat", "headwear", &["wide-brimmed hat", "beanie", "winter hat", "cat-ear hat"]),
    ("ears", "headwear", &["cat-ear hat"]),
    ("earflaps", "headwear", &["winter hat"]),
    ("smile", "expression", &["smiling", "laughing"]),
    ("smiling", "expression", &["smiling"]),
    ("laughing", "expression", &["laughing"]),
    ("grinning", "expression", &["laughing"]),
    ("sad", "expression", &["sad"]),
    ("frowning", "expression", &["sad"]),
    ("surprised", "expression", &["surprised"]),
    ("mouth", "expression", &["surprised"]),
    ("angry", "expression", &["angry"]),
    ("serious", "expression", &["serious"]),
    ("winking", "eyes", &["winking"]),
    ("closed", "eyes", &["closed"]),
    ("eyes", "eyes", &["closed", "wide"]),
    ("sideways", "eyes", &["sideways"]),
    ("side", "eyes", &["sideways"]),
    ("t-shirt", "garment", &["t-shirt"]),
    ("tee", "garment", &["t-shirt"]),
    ("jacket", "garment", &["jacket"]),
    ("shirt", "garment", &["collared shirt", "v-neck"]),
    ("hoodie", "garment", &["hoodie"]),
    ("v-neck", "garment", &["v-neck"]),
    ("overalls", "garment", &["overalls"]),
    ("turtleneck", "garment", &["turtleneck"]),
    ("dress", "garment", &["dress"]),
    ("clothes", "garment", &[]),
    ("background", "background", &[]),
    ("flat", "style", &["flat"]),
    ("toon", "style", &["toon"]),
];

/// Words before a noun that narrow it: (word, noun, values of the noun's attribute).
const MODIFIERS: &[(&str, &str, &[&str])] = &[
    ("short", "hair", &["short", "cropped", "short wavy", "short curly"]),
    ("very", "hair", &["cropped"]),
    ("cropped", "hair", &["cropped"]),
    ("spiky", "hair", &["spiky"]),
    ("straight", "hair", &["long straight"]),
    ("wavy", "hair", &["long wavy", "short wavy"]),
    ("curly", "hair", &["curly", "short curly"]),
    ("big", "hair", &["curly"]),
    ("long", "hair", &["long straight", "long wavy"]),
    ("long", "dreadlocks", &["dreadlocks"]),
    ("shoulder-length", "hair", &["shoulder-length"]),
    ("medium-length", "hair", &["shoulder-length"]),
    ("short", "beard", &["short beard"]),
    ("full", "beard", &["full beard"]),
    ("long", "beard", &["long beard"]),
    ("round", "glasses", &["round glasses"]),
    ("round", "eyeglasses", &["round glasses"]),
    ("round", "spectacles", &["round glasses"]),
    ("wide", "hat", &["wide-brimmed hat"]),
    ("wide-brimmed", "hat", &["wide-brimmed hat"]),
    ("knit", "hat", &["beanie"]),
    ("winter", "hat", &["winter hat"]),
    ("cat-ear", "hat", &["cat-ear hat"]),
    ("cat", "ears", &["cat-ear hat"]),
    ("flower", "crown", &["flower crown"]),
    ("big", "smile", &["laughing"]),
    ("open", "mouth", &["surprised"]),
    ("wide", "eyes", &["wide"]),
    ("collared", "shirt", &["collared shirt"]),
    ("v-neck", "shirt", &["v-neck"]),
];

const FUNCTION_WORDS: &[&str] = &[
    "a", "an", "the", "with", "in", "on", "of", "and", "or", "no", "without", "wearing", "against",
    "front", "at", "to", "looking", "person", "portrait", "avatar", "picture", "style", "face",
    "head", "light", "shaved", "sides",
];

/// The words of a caption in lower case, without punctuation.
pub(crate) fn words(caption: &str) -> Vec<String> {
    caption.split_whitespace().map(|word| word.trim_matches([',', '.']).to_lowercase()).collect()
}

fn color(word: &str) -> Option<&'static str> {
    COLORS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

fn skin(word: &str) -> Option<&'static str> {
    match word {
        "light" | "pale" => Some("light"),
        "tan" => Some("tan"),
        "brown" => Some("brown"),
        "dark" => Some("dark"),
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
    color(word).is_some()
        || skin(word).is_some()
        || MODIFIERS.iter().any(|(modifier, ..)| *modifier == word)
}

/// "v-neck" narrows "shirt", and is a noun before everything else.
fn modifies(word: &str, noun: &str) -> bool {
    is_modifier(word)
        && (!NOUNS.iter().any(|(other, ..)| *other == word)
            || MODIFIERS.iter().any(|(modifier, of, _)| *modifier == word && *of == noun))
}

/// Everything that `caption` claims.
pub(crate) fn claims(caption: &str) -> Result<Vec<Claim>, String> {
    let words = words(caption);
    let mut claims = vec![];
    for (at, word) in words.iter().enumerate() {
        if let Some((tone, "skinned")) = word.split_once('-') {
            let tone = skin(tone).ok_or_else(|| format!("no skin tone: {word}"))?;
            claims.push(Claim { key: "skin", allowed: vec![tone] });
        } else if let Some((name, "haired")) = word.split_once('-') {
            let color = color(name).ok_or_else(|| format!("no hair color: {word}"))?;
            claims.push(Claim { key: "hair_color", allowed: vec![color] });
        } else if let Some((noun, key, values)) = NOUNS.iter().find(|(noun, ..)| noun == word) {
            read_noun(&words[..at], noun, key, values, &mut claims)?;
        } else if !is_modifier(word) && !FUNCTION_WORDS.contains(&word.as_str()) {
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
    let modifiers: Vec<&str> =
        before.iter().rev().map(String::as_str).take_while(|word| modifies(word, noun)).collect();
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
            let tone = skin(modifier).ok_or_else(|| format!("{modifier} skin"))?;
            claims.push(Claim { key: "skin", allowed: vec![tone] });
        } else if let Some((.., values)) =
            MODIFIERS.iter().find(|(word, of, _)| *word == modifier && *of == noun)
        {
            claims.push(Claim { key, allowed: values.to_vec() });
        } else if let (Some(color), Some(key)) = (color(modifier), color_key(noun, key)) {
            claims.push(Claim { key, allowed: vec![color] });
        } else if !(modifier == "light" && noun == "background") && key != "gender" {
            return Err(format!("`{modifier} {noun}` means nothing"));
        }
    }
    Ok(())
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
