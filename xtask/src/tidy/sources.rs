//! Rules about single files: openings, lengths, names, words that must not be committed.

use anyhow::Result;

use super::code::without_comments_and_literals;
use super::tree::Tree;

/// Lines a source file may have.
const MAX_LINES: usize = 800;

/// Longer files, with the reason: tables of one kind of entry, which are easier to read whole.
const LONG_TABLES: &[(&str, &str)] = &[];

/// The crate in which `unsafe` is allowed.
const UNSAFE_FOLDER: &str = "crates/stride-kernels/";

/// File and folder names that say nothing about the content.
const BANNED_NAMES: [&str; 8] =
    ["base", "common", "helper", "helpers", "misc", "util", "utilities", "utils"];

/// Code that must not be committed, and what to do instead.
const BANNED_CODE: [(&str, &str); 4] = [
    ("#[ignore", "put long tests behind RUN_SLOW_TESTS"),
    ("todo!", "write it or leave it out"),
    ("unimplemented!", "write it or return an error"),
    ("dbg!", "use tracing"),
];

/// First folders of paths that exist on one machine only.
const MACHINE_FOLDERS: [&str; 6] = ["Users", "home", "mnt", "root", "tmp", "work"];

/// Endings of the files whose text is searched for such paths.
const TEXT_ENDINGS: [&str; 9] =
    [".json", ".jsonl", ".md", ".py", ".rs", ".sh", ".toml", ".txt", ".yml"];

/// Checks every file.
pub(super) fn check(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    for file in tree.files() {
        check_name(file, problems);
        let is_rust = file.ends_with(".rs");
        // Word lists and lock files hold any string.
        let is_text = TEXT_ENDINGS.iter().any(|ending| file.ends_with(ending))
            && !file.contains("/assets/")
            && !file.contains("/fixtures/");
        if !is_rust && !is_text {
            continue;
        }
        let text = tree.read(file)?;
        if is_text {
            check_paths(file, &text, problems);
        }
        if is_rust {
            check_rust(file, &text, problems);
        }
    }
    for (file, _) in LONG_TABLES {
        if !tree.files().any(|other| other == *file) {
            problems.push(format!("{file}: listed as a long table, but not there; remove it"));
        }
    }
    Ok(())
}

fn check_name(file: &str, problems: &mut Vec<String>) {
    for part in file.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        if BANNED_NAMES.contains(&stem) {
            problems.push(format!("{file}: the name `{stem}` says nothing; name the concept"));
        }
    }
}

fn check_rust(file: &str, text: &str, problems: &mut Vec<String>) {
    if !text.starts_with("//!") {
        problems.push(format!("{file}:1: opens without a `//!` line that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES && !LONG_TABLES.iter().any(|(table, _)| *table == file) {
        problems.push(format!("{file}: {lines} lines, at most {MAX_LINES}; split it by concept"));
    }
    for (number, line) in (1..).zip(without_comments_and_literals(text).lines()) {
        for (code, advice) in BANNED_CODE {
            if starts_word(line, code) {
                problems.push(format!("{file}:{number}: `{code}`: {advice}"));
            }
        }
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if !file.starts_with(UNSAFE_FOLDER) && words.into_iter().any(|word| word == "unsafe") {
            problems.push(format!("{file}:{number}: `unsafe` outside {UNSAFE_FOLDER}"));
        }
    }
    check_causes(file, text, problems);
}

/// Checks that an error which tells its cause does not hand it on as its source as well: whoever prints the chain would
/// say it twice.
fn check_causes(file: &str, text: &str, problems: &mut Vec<String>) {
    let mut told = "";
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if let Some(message) = line.strip_prefix("#[error(\"") {
            told = message;
        } else if line.starts_with("#[error(") {
            told = "";
        }
        let is_named = told.contains("{source}") && line.starts_with("source:");
        let is_marked = told.contains("{0")
            && ["(#[from]", "(#[source]"].iter().any(|mark| line.contains(mark));
        if is_named || is_marked {
            problems.push(format!(
                "{file}:{number}: a cause that the message tells and that is the source, too; keep it without `source` or `from`"
            ));
        }
    }
}

/// Whether the line has `code` where no word runs into it.
fn starts_word(line: &str, code: &str) -> bool {
    line.match_indices(code).any(|(at, _)| !line[..at].ends_with(|c: char| is_word(c)))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn check_paths(file: &str, text: &str, problems: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(folder) = MACHINE_FOLDERS.into_iter().find(|folder| has_path(line, folder)) {
            problems.push(format!("{file}:{number}: an absolute path below `{folder}`"));
        }
    }
}

/// Whether the line has `/folder/` as the start of a path, not inside a relative path or address.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(&format!("/{folder}/")).any(|(at, _)| {
        !line[..at].ends_with(|c: char| is_word(c) || matches!(c, '.' | '-' | '*' | '}' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::problems_in;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        problems_in(files, check)
    }

    #[test]
    fn a_plain_file_passes() {
        let source = "//! A file.\n\n/// Not unsafe, no todo!.\nfn f() -> &'static str { \"dbg!\" }\n\
             #[error(\"no: {0}\")]\nA(E),\n#[error(transparent)]\nB(#[from] E),\n";
        assert_eq!(found(&[("crates/stride/src/noise.rs", source)]), [] as [&str; 0]);
    }

    #[test]
    fn each_breach_names_file_and_line() {
        for (file, source, expected) in [
            ("a/lib.rs", "fn f() {}\n", "a/lib.rs:1: opens without"),
            ("a/utils.rs", "//! U.\n", "`utils`"),
            ("a/lib.rs", "//! A.\nfn f() { todo!() }\n", "a/lib.rs:2: `todo!`"),
            ("a/lib.rs", "//! A.\n#[ignore = \"slow\"]\n", "RUN_SLOW_TESTS"),
            ("a/lib.rs", "//! A.\nunsafe fn f() {}\n", "a/lib.rs:2: `unsafe`"),
            (
                "a/lib.rs",
                "//! A.\n#[error(\"{}: {source}\", .path)]\nIo {\n    source: E,\n}\n",
                "a/lib.rs:4: a cause",
            ),
            (
                "a/lib.rs",
                "//! A.\n#[error(\"no: {0}\")]\nJson(#[from] E),\n",
                "a/lib.rs:3: a cause",
            ),
        ] {
            let problems = found(&[(file, source)]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn unsafe_code_has_one_room() {
        let source = "//! A.\nunsafe fn f() {}\n";
        assert_eq!(found(&[("crates/stride-kernels/src/a.rs", source)]), [] as [&str; 0]);
    }

    #[test]
    fn long_files_are_named_with_their_length() {
        let source = format!("//! A.\n{}", "fn f() {}\n".repeat(800));
        assert!(found(&[("a/lib.rs", &source)])[0].contains("801 lines"));
    }

    #[test]
    fn paths_of_machines_are_found_and_others_are_not() {
        for folder in MACHINE_FOLDERS {
            assert!(has_path(&format!("open(\"/{folder}/x\")"), folder));
            assert!(!has_path(&format!("https://example.org/{folder}/x"), folder));
            assert!(!has_path(&format!("crates/{folder}/x or ../{folder}/x"), folder));
        }
    }
}
