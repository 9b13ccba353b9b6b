//! Captions that tell left from right, whose images must not be mirrored.

/// Words that a mirror image makes wrong.
const SIDES: [&str; 12] = [
    "left",
    "right",
    "leftmost",
    "rightmost",
    "lefthand",
    "righthand",
    "leftward",
    "rightward",
    "leftwards",
    "rightwards",
    "clockwise",
    "counterclockwise",
];

/// Whether a caption has a word such as left or right, so that it does not fit the mirror image.
pub fn names_a_side(caption: &str) -> bool {
    caption
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| SIDES.iter().any(|side| word.eq_ignore_ascii_case(side)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        for caption in ["a dot on the left", "Right-hand side", "the leftmost hat", "to its RIGHT."]
        {
            assert!(names_a_side(caption), "{caption}");
        }
        for caption in ["a bright man", "a copyright sign", "", "leftover cake"] {
            assert!(!names_a_side(caption), "{caption}");
        }
    }
}
