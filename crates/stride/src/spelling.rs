//! What a word that is not known was probably meant to be.

use strsim::jaro_winkler;

/// Likeness of a typing error and the word: "glases" has 0.97, "blak" 0.95, "cat" and "hat" 0.78.
const ALIKE: f64 = 0.9;

/// The candidate that is spelled most like a text, capitals aside; none where nothing is near.
///
/// Likeness is that of Jaro and Winkler, in [0, 1]: letters in common, less those out of order, and more where the first
/// ones agree.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let alike =
        candidates.into_iter().map(|word| (jaro_winkler(&text, &word.to_lowercase()), word));
    let near = alike.filter(|(likeness, _)| *likeness >= ALIKE);
    // The first of several that are equally like.
    near.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_have_a_word_and_other_words_have_none() {
        let known =
            ["hat", "glasses", "black", "woman", "garment_color", "beard", "hoodie", "bald"];
        for (typed, meant) in [
            ("glases", "glasses"),
            ("Glassses", "glasses"),
            ("blak", "black"),
            ("wmoan", "woman"),
            ("garment_colour", "garment_color"),
            ("berad", "beard"),
            ("HAT", "hat"),
        ] {
            assert_eq!(nearest(typed, known), Some(meant), "{typed}");
        }
        for other in ["cat", "dog", "city", "horse", "castle", "", "\u{1f600}"] {
            assert_eq!(nearest(other, known), None, "{other}");
        }
    }
}
