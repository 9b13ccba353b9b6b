//! Prompts with alternatives: `{red|blue}` and `__hair__`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use stride::noise::{below, keyed_rng, purpose};

use crate::usage::usage;

/// How deep alternatives may stand in each other; files that name each other come to no end.
const MOST_NESTED: usize = 20;

/// Chooses among the alternatives of one image's prompts.
pub(super) struct Alternatives<'a> {
    folder: &'a Path,
    seed: u64,
    /// Choices so far, each of which is drawn by its own key.
    choices: u64,
}

impl<'a> Alternatives<'a> {
    /// For the image of this seed; `folder` has the files.
    pub(super) fn new(folder: &'a Path, seed: u64) -> Self {
        Self { folder, seed, choices: 0 }
    }

    /// The text with one alternative of each group. Braces without `|` in them are text.
    pub(super) fn choose(&mut self, text: &str) -> anyhow::Result<String> {
        self.expand(text, 0)
    }

    fn expand(&mut self, text: &str, depth: usize) -> anyhow::Result<String> {
        if depth > MOST_NESTED {
            bail!(
                "alternatives of prompts stand in each other more than {MOST_NESTED} deep; do files name each other?"
            );
        }
        let mut chosen = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '_']) {
            let (before, at) = rest.split_at(start);
            chosen.push_str(before);
            if let Some((name, after)) = file_name(at) {
                let line = self.line_of(name)?;
                chosen.push_str(&self.expand(&line, depth + 1)?);
                rest = after;
            } else if let Some((inside, after)) = braces(at) {
                let parts = alternatives(inside);
                if parts.len() > 1 {
                    let part = parts[self.draw(parts.len())];
                    chosen.push_str(&self.expand(part, depth + 1)?);
                } else {
                    chosen.push('{');
                    chosen.push_str(&self.expand(inside, depth + 1)?);
                    chosen.push('}');
                }
                rest = after;
            } else {
                // Both signs are one byte long.
                chosen.push_str(&at[..1]);
                rest = &at[1..];
            }
        }
        chosen.push_str(rest);
        Ok(chosen)
    }

    /// One of the lines of a file.
    fn line_of(&mut self, name: &str) -> anyhow::Result<String> {
        let path: PathBuf = self.folder.join(format!("{name}.txt"));
        if !path.is_file() {
            return usage(format!(
                "__{name}__ in a prompt stands for a line of {}, which is not there; write the file, or name its folder \
                 with --wildcards",
                path.display()
            ));
        }
        let text = stride_files::read_text_file(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let is_used = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let lines: Vec<&str> = text.lines().map(str::trim).filter(is_used).collect();
        if lines.is_empty() {
            bail!("{}: expected an alternative a line, found none", path.display());
        }
        Ok(lines[self.draw(lines.len())].to_owned())
    }

    fn draw(&mut self, count: usize) -> usize {
        let mut rng = keyed_rng(self.seed, purpose::ALTERNATIVE, self.choices, 0);
        self.choices += 1;
        below(&mut rng, count)
    }
}

/// The name at the start of `__name__...`, and what follows. Names have letters, digits, `-`, `/` and single `_`, so that no
/// file outside the folder can be named.
fn file_name(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix("__")?;
    let (name, after) = inside.split_once("__")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (starts_well && name.chars().all(is_plain)).then_some((name, after))
}

/// What stands in the braces that a text begins with, and what follows.
fn braces(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('{')?;
    let mut depth = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

/// The parts between those `|` that stand in no braces.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    fn all(folder: &Path, text: &str) -> BTreeSet<String> {
        let choose = |seed| Alternatives::new(folder, seed).choose(text).expect("chosen");
        (0..200).map(choose).collect()
    }

    #[test]
    fn every_alternative_is_chosen_by_some_seed() {
        let none = Path::new("nowhere");
        let set = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(all(none, "a {red|blue} hat"), set(&["a red hat", "a blue hat"]));
        assert_eq!(all(none, "{a|b{c|d}}{|x}"), set(&["a", "ax", "bc", "bcx", "bd", "bdx"]));
        for text in ["a {man}", "{", "}{", "{a{b}", "a_b __init", "____", "__../x__", "__a b__", ""]
        {
            assert_eq!(all(none, text), set(&[text]));
        }
        let twice = |seed| Alternatives::new(none, seed).choose("{a|b|c}{d|e|f}").expect("chosen");
        assert_eq!(twice(3), twice(3));
        let deep = "{".repeat(100_000);
        assert_eq!(Alternatives::new(none, 1).choose("{{{{x}}}}").expect("text"), "{{{{x}}}}");
        assert_eq!(Alternatives::new(none, 1).choose(&deep[..1000]).expect("text"), deep[..1000]);
    }

    #[test]
    fn files_give_a_line_and_may_name_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("inside")).expect("writable");
            fs::write(path, text).expect("writable");
        };
        write("hair.txt", "# colours\nred\n\n{dark|light} brown\n");
        write("style/pose_1.txt", "with __hair__ hair\n");
        let found = all(folder.path(), "a man __style/pose_1__");
        let expected = ["red", "dark brown", "light brown"];
        assert_eq!(found, expected.map(|hair| format!("a man with {hair} hair")).into());
        write("empty.txt", "# nothing\n");
        write("circle.txt", "__circle__");
        for (name, part) in [("empty", "found none"), ("circle", "deep"), ("hats", "--wildcards")] {
            let result = Alternatives::new(folder.path(), 1).choose(&format!("__{name}__"));
            let error = result.expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
