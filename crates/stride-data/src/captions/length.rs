//! How many of CLIP's tokens a caption takes, counted without CLIP's vocabulary.

/// Words of these captions that are two tokens.
const SPLIT: [&str; 13] = [
    "arched",
    "bushy",
    "cheekbones",
    "eyeglasses",
    "goatee",
    "hairline",
    "necktie",
    "parted",
    "pointy",
    "receding",
    "shaven",
    "sideburns",
    "stubble",
];

/// The tokens of a caption that this grammar wrote, start and end included.
///
/// A word is one token, or two if [`SPLIT`] has it; a run of other signs is one as well. The tests
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
            tokens += if SPLIT.contains(&word.as_str()) { 2 } else { 1 };
            word.clear();
        }
        let is_sign = !c.is_whitespace();
        tokens += usize::from(is_sign && !in_signs);
        in_signs = is_sign;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use stride::noise::{below, keyed_rng};
    use stride::tokenizer::ClipTokenizer;

    use super::*;
    use crate::{CELEBA_ATTRIBUTES, CaptionWriter, CelebaAttributes};

    #[test]
    fn counts_are_those_of_clip() {
        let tokenizer = ClipTokenizer::new().expect("vocabulary inside");
        let by_clip = |text: &str| {
            let tokens = tokenizer.encode(text).expect("plain text");
            tokens.ids.len() + tokens.dropped_tokens
        };
        let mut wrong = BTreeMap::new();
        for index in 0..2000 {
            let mut rng = keyed_rng(29, 1000, 0, index);
            let face = CELEBA_ATTRIBUTES.into_iter().fold(CelebaAttributes::new(), |face, name| {
                face.with(name, below(&mut rng, 3) == 0).expect("in the list")
            });
            for caption in CaptionWriter::new(index).write(face, "a.jpg", 6) {
                for word in caption.split(|c: char| !c.is_alphabetic()) {
                    if !word.is_empty() && clip_tokens(word) != by_clip(word) {
                        wrong.insert(word.to_lowercase(), by_clip(word) - 2);
                    }
                }
                assert!(
                    !wrong.is_empty() || clip_tokens(&caption) == by_clip(&caption),
                    "{caption}"
                );
            }
        }
        assert!(wrong.is_empty(), "the table of split words should have {wrong:?}");
    }
}
