//! What typing adds: words that say nothing, typing errors, capitals, shorthand.

use crate::draw::Draw;
use crate::lexicon::filler::{ADJECTIVES, CLOSERS, OPENERS};
use crate::lexicon::typing_errors::TYPING_ERRORS;

/// Shorthand for words between others.
const SHORTHAND: &[(&str, &str)] = &[(" with ", " w/ "), (" and ", " & "), (" and ", " + ")];

/// An adjective that nothing shows.
pub(super) fn empty_adjective(draw: &mut Draw) -> &'static str {
    draw.pick(ADJECTIVES)
}

/// The first letter as a capital.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Words before the person that say nothing.
pub(super) fn opener(draw: &mut Draw) -> &'static str {
    draw.pick(OPENERS)
}

/// Adds what typing adds.
pub(super) fn as_typed(mut text: String, draw: &mut Draw) -> String {
    if draw.chance(15) {
        let text_end = text.trim_end_matches('.').len();
        text.truncate(text_end);
        text = format!("{text}, {}", draw.pick(CLOSERS));
    }
    if draw.chance(8) {
        let (long, short) = draw.pick(SHORTHAND);
        text = text.replace(long, short);
    }
    if draw.chance(12) {
        text = mistyped(&text, draw);
    }
    match draw.below(100) {
        0..60 => text,
        60..88 => capitalized(&text),
        88..92 => format!("{}.", capitalized(text.trim_end_matches('.'))),
        92..96 => text.split(' ').map(capitalized).collect::<Vec<_>>().join(" "),
        _ => text.to_uppercase(),
    }
}

/// With one of the words mistyped, if there is one that often is.
fn mistyped(text: &str, draw: &mut Draw) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let is_word = |typed: &str, word: &str| typed.trim_end_matches([',', '.', ';']) == word;
    let candidates: Vec<(usize, &str, &str)> = words
        .iter()
        .enumerate()
        .flat_map(|(at, typed)| {
            let of = TYPING_ERRORS.iter().filter(move |(word, _)| is_word(typed, word));
            of.map(move |(word, error)| (at, *word, *error))
        })
        .collect();
    if candidates.is_empty() {
        return text.to_owned();
    }
    let (at, word, error) = draw.pick(&candidates);
    let replaced = words[at].replace(word, error);
    words[at] = &replaced;
    words.join(" ")
}
