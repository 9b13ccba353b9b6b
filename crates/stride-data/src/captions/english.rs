//! The little grammar that every sentence needs: articles, lists, capitals, pronouns.

/// The words for the one who is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// A man, "he".
    Man,
    /// A woman, "she".
    Woman,
    /// A person, "they", where a caption leaves the gender open.
    Person,
}

impl Voice {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Man => "man",
            Self::Woman => "woman",
            Self::Person => "person",
        }
    }

    pub(super) fn possessive(self) -> &'static str {
        match self {
            Self::Man => "his",
            Self::Woman => "her",
            Self::Person => "their",
        }
    }

    /// The pronoun with its form of "to be". The noun takes "is" and "has" in every voice.
    pub(super) fn pronoun_is(self) -> &'static str {
        match self {
            Self::Man => "he is",
            Self::Woman => "she is",
            Self::Person => "they are",
        }
    }
}

/// "a", "a and b", "a, b and c"; the last two are joined by `word`.
pub(super) fn list<S: AsRef<str>>(items: &[S], word: &str) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 && index + 1 == items.len() {
            text.push_str(&format!(" {word} "));
        } else if index > 0 {
            text.push_str(", ");
        }
        text.push_str(item.as_ref());
    }
    text
}

/// The words behind "a", or behind "an" where they begin with a vowel. Among the words of these
/// captions none begins with a silent h or a vowel that is spoken as a consonant.
pub(super) fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

/// The text with a capital at the front and a full stop at the end.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let capital = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", capital.unwrap_or_default(), characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_articles_and_sentences() {
        let none: [&str; 0] = [];
        assert_eq!(list(&none, "and"), "");
        assert_eq!(list(&["a"], "and"), "a");
        assert_eq!(list(&["a", "b"], "or"), "a or b");
        assert_eq!(list(&["a", "b", "c"], "and"), "a, b and c");
        assert_eq!(with_article("oval face"), "an oval face");
        assert_eq!(with_article("hat"), "a hat");
        assert_eq!(sentence("she is tall"), "She is tall.");
    }
}
