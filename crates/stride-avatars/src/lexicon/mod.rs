//! Words as people use them: tables from values to words and phrases, a file for each part of a prompt.
//!
//! In a phrase `_` stands for a color, and the article is the one that a sentence would have.

pub(crate) mod clothes;
pub(crate) mod colors;
pub(crate) mod face;
pub(crate) mod filler;
pub(crate) mod hair;
pub(crate) mod people;
pub(crate) mod typing_errors;

/// The words for each of several values.
pub(crate) type Words<T> = [(T, &'static [&'static str])];

/// The words for `value`; none where the table has no such value.
pub(crate) fn words<T: PartialEq>(table: &'static Words<T>, value: T) -> &'static [&'static str] {
    table.iter().find(|(of, _)| *of == value).map_or(&[], |(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn texts<T>(table: &'static Words<T>) -> impl Iterator<Item = &'static str> {
        table.iter().flat_map(|(_, words)| words.iter().copied())
    }

    #[test]
    fn there_are_more_than_600_words_and_phrases_over_the_attributes() {
        let mut all = BTreeSet::new();
        for table in [people::MEN, people::WOMEN, people::ANYONE] {
            all.extend(texts(table));
        }
        all.extend(texts(people::BY_HAIR_COLOR));
        all.extend(texts(people::SKIN).chain(texts(people::SKIN_ADJECTIVES)));
        all.extend(
            texts(colors::GARMENT).chain(texts(colors::HAIR)).chain(texts(colors::BACKGROUND)),
        );
        all.extend(texts(hair::HAIR).chain(hair::COLOR_ALONE.iter().copied()));
        all.extend(texts(hair::FACIAL_HAIR).chain(hair::BALD_ADJECTIVES.iter().copied()));
        all.extend(hair::BEARDED.iter().chain(hair::MOUSTACHED).chain(hair::BEARDLESS).copied());
        all.extend(texts(face::EXPRESSION_ADJECTIVES).chain(texts(face::EXPRESSION_DOINGS)));
        all.extend(texts(face::EXPRESSIONS).chain(texts(face::EYES_DOINGS)));
        all.extend(texts(face::EYES_ADJECTIVES).chain(texts(face::EYES)));
        all.extend(texts(face::EYEWEAR).chain(face::NO_GLASSES.iter().copied()));
        all.extend(
            texts(clothes::GARMENTS)
                .chain(clothes::COLOR_ALONE.iter().chain(clothes::DRESSED).copied()),
        );
        all.extend(texts(clothes::HEADWEAR).chain(clothes::NO_HAT.iter().copied()));
        all.extend(texts(filler::STYLES).chain(filler::BACKDROPS.iter().copied()));
        assert!(all.len() >= 600, "{} words and phrases", all.len());
    }

    #[test]
    fn no_phrase_stands_twice_for_a_value() {
        fn check<T: std::fmt::Debug>(table: &'static Words<T>) {
            for (value, words) in table {
                let distinct: BTreeSet<_> = words.iter().collect();
                assert_eq!(distinct.len(), words.len(), "{value:?}: {words:?}");
            }
        }
        check(hair::HAIR);
        check(hair::FACIAL_HAIR);
        check(clothes::GARMENTS);
        check(clothes::HEADWEAR);
        check(colors::GARMENT);
        check(colors::HAIR);
        check(colors::BACKGROUND);
        check(face::EXPRESSION_ADJECTIVES);
    }
}
