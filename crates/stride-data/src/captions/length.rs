//! How many of CLIP's tokens a caption takes, counted without CLIP's vocabulary.

/// Words of these captions that are more than one token, and how many they are.
const SPLIT: [(&str, usize); 0] = [];

/// The tokens of a caption that this grammar wrote, start and end included.
///
/// A word is one token unless [`SPLIT`] has it; a run of other signs is one as well. The tests
/// compare this with CLIP's tokenizer.
pub(super) fn clip_tokens(caption: &str) -> usize {
    let mut tokens = 2;
    let mut word = String::new();
    let mut in_signs = false;
    for c in caption.chars().chain([' ']) {
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
            in_signs = false;
            continue;
        }
        if !word.is_empty() {
            tokens += SPLIT.iter().find(|(known, _)| *known == word).map_or(1, |&(_, count)| count);
            word.clear();
        }
        let is_sign = !c.is_whitespace();
        tokens += usize::from(is_sign && !in_signs);
        in_signs = is_sign;
    }
    tokens
}
