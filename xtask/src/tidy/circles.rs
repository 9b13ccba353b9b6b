//! No file of a crate uses a file that uses it, directly or through others.
//!
//! [`modules`](super::modules) says what counts as a use. A parent that only declares its modules and
//! re-exports their names is in no circle with them; one that uses them and defines what they use is. What
//! both need belongs in a file of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::modules::Modules;
use super::tree::Tree;

/// Checks every library and program of the workspace.
pub(super) fn check(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    let is_root = |file: &&str| file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
    for root in tree.files().filter(is_root) {
        let modules = Modules::read(tree, root)?;
        let uses = modules.uses();
        let folder = root.trim_end_matches(|c| c != '/');
        for circle in circles(&uses.keys().copied().collect()) {
            problems.push(message(folder, &circle, &uses));
        }
    }
    Ok(())
}

/// The largest sets of files of which each uses every other, directly or not.
fn circles<'a>(uses: &BTreeSet<(&'a str, &'a str)>) -> Vec<BTreeSet<&'a str>> {
    let reached_from = |start: &'a str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            let next = uses.iter().filter(|(from, _)| *from == file).map(|(_, to)| *to);
            open.extend(next.filter(|to| reached.insert(*to)));
        }
        reached
    };
    let files: BTreeSet<&str> = uses.iter().map(|(from, _)| *from).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        files.into_iter().map(|file| (file, reached_from(file))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, below) in &reached {
        let returns = |other: &&str| reached.get(other).is_some_and(|back| back.contains(file));
        if below.contains(file) && !circles.iter().any(|circle| circle.contains(file)) {
            circles.push(below.iter().copied().filter(returns).collect());
        }
    }
    circles
}

/// The files of a circle below their folder, and for each pair the names that close it.
fn message(
    folder: &str,
    circle: &BTreeSet<&str>,
    uses: &BTreeMap<(&str, &str), BTreeSet<String>>,
) -> String {
    let short = |file: &str| file.strip_prefix(folder).unwrap_or(file).to_owned();
    let files: Vec<String> = circle.iter().copied().map(short).collect();
    let mut message = format!("{folder}: {} use each other in a circle:", files.join(", "));
    for ((from, to), names) in uses {
        if circle.contains(from) && circle.contains(to) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let names = names.join(", ");
            message.push_str(&format!("\n    {} uses {names} of {}", short(from), short(to)));
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::problems_in;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        problems_in(files, check)
    }

    const LIB: (&str, &str) = ("crates/x/src/lib.rs", "mod a; mod b; mod c; pub use a::A;");
    const B: (&str, &str) = ("crates/x/src/b.rs", "use crate::c::C; pub struct B;");

    #[test]
    fn files_in_one_direction_pass() {
        let (a, c) = (("crates/x/src/a.rs", "use crate::b::B;"), ("crates/x/src/c.rs", ""));
        assert_eq!(found(&[LIB, a, B, c]), [] as [&str; 0]);
    }

    #[test]
    fn a_circle_is_named_with_what_closes_it() {
        let a = ("crates/x/src/a.rs", "use crate::b::B; pub struct A;");
        let c = ("crates/x/src/c.rs", "use crate::A; pub struct C;");
        let problems = found(&[LIB, a, B, c]);
        let expected = "crates/x/src/: a.rs, b.rs, c.rs use each other in a circle:
    a.rs uses B of b.rs
    b.rs uses C of c.rs
    c.rs uses A of a.rs";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn a_parent_that_defines_what_its_child_uses_is_in_a_circle() {
        let lib = ("crates/x/src/lib.rs", "mod a; pub struct X; fn f() { a::g() }");
        let a = ("crates/x/src/a.rs", "use super::X; pub fn g() {}");
        assert!(found(&[lib, a])[0].contains("lib.rs uses g of a.rs"));
    }

    #[test]
    fn two_circles_are_two_problems() {
        let lib = ("crates/x/src/lib.rs", "mod a; mod b; mod c; mod d;");
        let files = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")];
        let files = files.map(|(file, used)| {
            (format!("crates/x/src/{file}.rs"), format!("use crate::{used}::f; pub fn f() {{}}"))
        });
        let mut all = vec![lib];
        all.extend(files.iter().map(|(file, code)| (file.as_str(), code.as_str())));
        assert_eq!(found(&all).len(), 2);
    }
}
