//! Rust source with comments and literals blanked out.

/// The source with every character of a comment, string or character literal replaced by a space;
/// line breaks stay, so line numbers do too.
///
/// A rule about code can then search for words without meeting them in prose.
pub(crate) fn without_comments_and_literals(source: &str) -> String {
    let mut blanked = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        // The r of `for"` or a quote after a word begins no raw string.
        let length = if in_word { plain_literal(rest) } else { literal_or_comment(rest) };
        if length == 0 {
            blanked.push(first);
            in_word = first.is_alphanumeric() || first == '_';
            rest = &rest[first.len_utf8()..];
        } else {
            let (skipped, after) = rest.split_at(length);
            blanked.extend(skipped.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            in_word = false;
            rest = after;
        }
    }
    blanked
}

/// Bytes of the comment or literal that `text` begins with; 0 if it begins with neither.
fn literal_or_comment(text: &str) -> usize {
    let after_prefix = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - after_prefix.len();
    if let Some(raw) = after_prefix.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if prefix <= 1 && raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let opening = prefix + 1 + hashes + 1;
            let body = &text[opening..];
            return opening + body.find(&end).map_or(body.len(), |at| at + end.len());
        }
    }
    plain_literal(text)
}

fn plain_literal(text: &str) -> usize {
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        block_comment(text)
    } else if text.starts_with('"') {
        quoted(text, '"')
    } else if text.starts_with('\'') && is_character(text) {
        quoted(text, '\'')
    } else {
        0
    }
}

/// Whether the quote begins a character and not a lifetime.
fn is_character(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(found) = text[at..].find("/*").into_iter().chain(text[at..].find("*/")).min() {
        at += found;
        if text[at..].starts_with("/*") {
            depth += 1
        } else {
            depth -= 1
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let code = without_comments_and_literals(source);
        assert_eq!(code.lines().count(), source.lines().count());
        code.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn comments_and_strings_go() {
        assert_eq!(words("a // b \"c\nd"), ["a", "d"]);
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(words(r#"a "b \" c" d"#), ["a", "d"]);
        assert_eq!(words("a r#\"b \" c\"# d br\"e\" f b\"g\" h"), ["a", "d", "f", "b", "h"]);
    }

    #[test]
    fn lifetimes_are_code_and_characters_are_not() {
        assert_eq!(words("&'a str '\"' x '\\'' y 'u' z"), ["&'a", "str", "x", "y", "z"]);
    }

    #[test]
    fn an_open_literal_reaches_the_end() {
        assert_eq!(words("a \"b"), ["a"]);
        assert_eq!(words("a /* b"), ["a"]);
    }
}
