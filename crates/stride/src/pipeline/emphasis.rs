//! Brackets by which prompts of other programs weight words: `(glasses:1.3)`, `((red hair))`.

use std::borrow::Cow;

/// Digits of a weight, with its point and spaces, at most.
const WEIGHT_LENGTH: usize = 12;

/// A bracket that is open.
struct Open {
    place: usize,
    /// Whether a pair of brackets fills what it encloses.
    is_doubled: bool,
}

/// The text without the brackets and numbers of weighted words, which mean nothing to a model here.
///
/// A pair of round brackets weights what is in it if a colon and a number end it, or if it encloses or fills another pair
/// at once. Other brackets, and those after a backslash, are part of the text.
pub(super) fn without_emphasis(text: &str) -> Cow<'_, str> {
    if !text.contains('(') {
        return Cow::Borrowed(text);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut is_left_out = vec![false; chars.len()];
    let mut open: Vec<Open> = Vec::new();
    let is_escaped = |place: usize| place > 0 && chars[place - 1] == '\\';
    for (place, &c) in chars.iter().enumerate() {
        if c == '(' && !is_escaped(place) {
            open.push(Open { place, is_doubled: false });
        }
        if c != ')' || is_escaped(place) {
            continue;
        }
        let Some(Open { place: start, is_doubled }) = open.pop() else { continue };
        if let Some(colon) = weight(&chars, start, place) {
            is_left_out[start] = true;
            is_left_out[colon..=place].fill(true);
            continue;
        }
        let around = open
            .last_mut()
            .filter(|around| around.place + 1 == start && chars.get(place + 1) == Some(&')'));
        let fills = around.map(|around| around.is_doubled = true).is_some();
        if fills || is_doubled {
            is_left_out[start] = true;
            is_left_out[place] = true;
        }
    }
    if !is_left_out.contains(&true) {
        return Cow::Borrowed(text);
    }
    let kept = chars.iter().zip(&is_left_out).filter(|(_, is_left_out)| !**is_left_out);
    Cow::Owned(kept.map(|(c, _)| c).collect())
}

/// Where the colon before the weight of a pair of brackets stands.
fn weight(chars: &[char], start: usize, end: usize) -> Option<usize> {
    let first = end.saturating_sub(WEIGHT_LENGTH).max(start + 1);
    let tail = &chars[first..end];
    let colon = tail.iter().rposition(|&c| c == ':')?;
    let number: String = tail[colon + 1..].iter().collect();
    let is_weight = number.trim().parse::<f64>().is_ok_and(f64::is_finite);
    let has_text = chars[start + 1..first + colon].iter().any(|c| c.is_alphanumeric());
    (is_weight && has_text).then_some(first + colon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_doubled_brackets_are_left_out() {
        for (text, expected) in [
            ("a man with (glasses:1.3)", "a man with glasses"),
            ("((red hair)), a man", "red hair, a man"),
            ("(((red hair)))", "red hair"),
            ("((red hair:1.2))", "(red hair)"),
            ("(a ((red)) hat: 0.5 )", "a red hat"),
            ("(a (red:1.1) hat:1.2) (beard:2)", "a red hat beard"),
        ] {
            assert_eq!(without_emphasis(text), expected, "{text}");
        }
    }

    #[test]
    fn other_brackets_stay() {
        for text in [
            "a man (with a hat)",
            "a man: red",
            "(red) (hat)",
            "((a) b)",
            "(:1.3)",
            "(hat:big)",
            "(hat:nan)",
            "\\(hat:1.3\\)",
            ")(",
            "((((",
            "",
        ] {
            assert_eq!(without_emphasis(text), text);
        }
        let many = "(".repeat(100_000) + &")".repeat(100_000);
        assert_eq!(without_emphasis(&many), "");
    }
}
