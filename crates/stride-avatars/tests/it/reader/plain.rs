//! From a caption as it was typed to words that the reader understands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::synonyms::{EMPTY_WORDS, SYNONYMS};
use super::words::{COLORS, EMPTY_MODIFIERS, FUNCTION_WORDS, MODIFIERS, NOUNS};

/// What keeps words apart that do not belong together.
const BARRIER: &str = ",";

/// The words of a caption in lower case, without punctuation.
pub(crate) fn words(caption: &str) -> Vec<String> {
    caption.split_whitespace().map(|word| word.trim_matches([',', '.']).to_lowercase()).collect()
}

/// The words of a caption, mended, and with plain ones in place of people's.
pub(super) fn plain_words(caption: &str) -> Result<Vec<String>, String> {
    let mut mended: Vec<String> = vec![];
    for typed in caption.to_lowercase().split_whitespace() {
        let word = typed.trim_end_matches([',', '.', ';', ':']);
        if matches!(word, "/" | "+" | "&") {
            mended.push(BARRIER.to_owned());
        } else if let ("haired" | "skinned", Some(first)) = (word, mended.last_mut()) {
            first.push('-');
            first.push_str(word);
        } else {
            mended.push(mend(word)?);
        }
        if word.len() < typed.len() {
            mended.push(BARRIER.to_owned());
        }
    }
    let mut plain = vec![];
    let mut at = 0;
    while at < mended.len() {
        let (length, words) = longest_synonym(&mended[at..]);
        plain.extend(words);
        at += length;
    }
    Ok(plain)
}

pub(super) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.contains(&word) || EMPTY_WORDS.contains(&word)
}

/// How many of the first words stand for plain ones, and these.
fn longest_synonym(words: &[String]) -> (usize, Vec<String>) {
    static PLAIN: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
    let plain = PLAIN.get_or_init(|| {
        let pairs = |(plain, typed): &(&'static str, &'static [&'static str])| {
            let plain = *plain;
            typed.iter().map(move |typed| (*typed, plain))
        };
        SYNONYMS.iter().flat_map(pairs).collect()
    });
    (1..=words.len().min(4))
        .rev()
        .find_map(|length| {
            let found = plain.get(words[..length].join(" ").as_str())?;
            Some((length, found.split(' ').map(str::to_owned).collect()))
        })
        .unwrap_or_else(|| (1, vec![words[0].clone()]))
}

/// The word itself if it is known, or the only known word that is one typing error away.
fn mend(word: &str) -> Result<String, String> {
    let known = known_words();
    let is_composed = word.ends_with("-haired") || word.ends_with("-skinned");
    if known.contains(word) || is_composed {
        return Ok(word.to_owned());
    }
    let near: Vec<&str> =
        known.iter().copied().filter(|known| is_one_error_away(word, known)).collect();
    // More often a letter is left out, doubled or swapped with the next than another one typed.
    let same_letters = |known: &&str| known.len() != word.len() || sorted(known) == sorted(word);
    let likely: Vec<&str> = near.iter().copied().filter(same_letters).collect();
    match (near.as_slice(), likely.as_slice()) {
        ([only], _) | (_, [only]) => Ok((*only).to_owned()),
        _ => Err(format!("unknown word `{word}`, which may be any of {near:?}")),
    }
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

fn known_words() -> &'static BTreeSet<&'static str> {
    static KNOWN: OnceLock<BTreeSet<&str>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known: BTreeSet<&str> = FUNCTION_WORDS.iter().chain(EMPTY_WORDS).copied().collect();
        known.extend(NOUNS.iter().map(|(noun, ..)| noun));
        known.extend(MODIFIERS.iter().map(|(modifier, ..)| modifier));
        known.extend(EMPTY_MODIFIERS.iter().map(|(modifier, _)| modifier));
        known.extend(COLORS.iter().map(|(name, _)| name));
        known.extend(SYNONYMS.iter().flat_map(|(plain, typed)| {
            std::iter::once(plain).chain(typed.iter()).flat_map(|text| text.split(' '))
        }));
        known
    })
}

/// Whether a letter too many, too few or wrong, or two swapped ones, make one word of the other.
fn is_one_error_away(typed: &str, word: &str) -> bool {
    let (typed, word): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    if typed.len().abs_diff(word.len()) > 1 || word.len() < 4 {
        return false;
    }
    let same_start = typed.iter().zip(&word).take_while(|(a, b)| a == b).count();
    let (typed, word) = (&typed[same_start..], &word[same_start..]);
    let swapped = typed.len() > 1
        && word.len() > 1
        && typed[0] == word[1]
        && typed[1] == word[0]
        && typed[2..] == word[2..];
    let after = |letters: &[char]| letters.get(1..).unwrap_or_default().to_vec();
    swapped || after(typed) == word || typed == after(word) || after(typed) == after(word)
}
