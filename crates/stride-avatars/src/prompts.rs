//! Prompts in people's own words: for judging only, so that training captions never equal one of them.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde::Deserialize;

/// Two hundred prompts as people type them, with the attributes that they ask for: JSON lines of `text` and
/// `attributes` (a value, or a list of which each will do).
///
/// They were written before the words of [`CaptionKind::People`](crate::CaptionKind) and apart from them.
pub const PEOPLES_PROMPTS: &str = include_str!("../prompts/people.jsonl");

#[derive(Deserialize)]
struct Prompt {
    text: String,
}

/// Whether `caption` is one of [`PEOPLES_PROMPTS`], but for capitals, spaces and punctuation.
pub(crate) fn is_prompt(caption: &str) -> bool {
    static PROMPTS: OnceLock<HashSet<String>> = OnceLock::new();
    let prompts = PROMPTS.get_or_init(|| {
        let text = |line| serde_json::from_str::<Prompt>(line).expect("the file is tested").text;
        PEOPLES_PROMPTS.lines().map(|line| letters(&text(line))).collect()
    });
    prompts.contains(&letters(caption))
}

/// The letters and digits of a text in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_punctuation_make_no_other_prompt() {
        assert!(is_prompt("dude in shades, green hoodie"));
        assert!(is_prompt("Dude in shades green hoodie."));
        assert!(!is_prompt("dude in shades, green hoodie, red background"));
    }
}
