//! The modules of a crate: what each file defines, re-exports and uses, read from its text.
//!
//! This reads names, not types, so it sees a use where a path is written: in a `use`, or in code
//! as `crate::a::f`, `super::f`, `child::f` or `imported_module::f`. A method called on a value
//! names no file and is not seen.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::code::without_comments_and_literals;
use super::tree::Tree;

/// A module, in a file of its own or inside of another's file.
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    /// The paths in code outside of `use`, a single name among them.
    paths: BTreeSet<Vec<String>>,
}

/// One name that a `use` brings, `*` for all of a module.
struct Import {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// The modules below one root file; the first is the root.
pub(super) struct Modules(Vec<Module>);

/// What a path leads to: a module, or a name in one.
type Target = (usize, Option<String>);

/// How many imports a name may go through, so that imports of each other end.
const MAX_IMPORTS: usize = 16;

impl Modules {
    /// Reads the root file and all that it declares, without `#[cfg(test)]` code.
    pub(super) fn read(tree: &Tree, root: &str) -> Result<Self> {
        let mut modules = Self(Vec::new());
        modules.read_file(tree, root, None)?;
        Ok(modules)
    }

    /// Which file uses which names of which other file.
    ///
    /// A name counts for the file that defines it, through whatever module it was imported. A parent that declares
    /// its modules and re-exports their names uses them only where its own code says the name.
    pub(super) fn uses(&self) -> BTreeMap<(&str, &str), BTreeSet<String>> {
        let mut uses: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        for (at, module) in self.0.iter().enumerate() {
            let mut note = |(target, name): Target| {
                let file = self.0[target].file.as_str();
                if let (Some(name), true) = (name, file != module.file) {
                    uses.entry((&module.file, file)).or_default().insert(name);
                }
            };
            for import in &module.imports {
                if import.name == "*" {
                    let said = module.paths.iter().filter(|path| path.len() == 1);
                    said.filter_map(|path| self.of_glob(import, at, &path[0], 0))
                        .for_each(&mut note);
                    continue;
                }
                let Some(target) = self.resolve(at, &import.path, 0) else { continue };
                let says_it = || module.paths.contains(std::slice::from_ref(&import.name));
                if !import.is_public || !self.is_below(target.0, at) || says_it() {
                    note(target);
                }
            }
            let longer = module.paths.iter().filter(|path| path.len() > 1);
            longer.filter_map(|path| self.resolve(at, path, 0)).for_each(note);
        }
        uses
    }

    fn read_file(&mut self, tree: &Tree, file: &str, parent: Option<usize>) -> Result<usize> {
        let code = without_comments_and_literals(&tree.read(file)?);
        let tokens = without_tests(&tokens(&code));
        let at = self.add(file, parent);
        let declared = self.read_items(&tokens, at);
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let folder = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => file.trim_end_matches(".rs").to_owned(),
        };
        for child in declared {
            let places = [format!("{folder}/{child}.rs"), format!("{folder}/{child}/mod.rs")];
            if let Some(place) = tree.files().find(|file| places.iter().any(|place| place == file))
            {
                let index = self.read_file(tree, place, Some(at))?;
                self.0[at].children.insert(child, index);
            }
        }
        Ok(at)
    }

    fn add(&mut self, file: &str, parent: Option<usize>) -> usize {
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            imports: Vec::new(),
            paths: BTreeSet::new(),
        });
        self.0.len() - 1
    }

    /// Reads the tokens of module `at`, and gives the names of the modules that have their own files.
    fn read_items(&mut self, tokens: &[&str], at: usize) -> Vec<String> {
        let mut declared = Vec::new();
        let (mut i, mut depth, mut is_public) = (0, 0usize, false);
        while i < tokens.len() {
            let next = tokens.get(i + 1).copied().unwrap_or_default();
            match tokens[i] {
                "use" if next != "<" => {
                    let length = tokens[i..].iter().take_while(|token| **token != ";").count();
                    import_tree(&tokens[i + 1..i + length], is_public, &mut self.0[at].imports);
                    i += length;
                    continue;
                }
                "mod" if depth == 0 && tokens.get(i + 2) == Some(&";") => {
                    declared.push(next.to_owned());
                    i += 2;
                    continue;
                }
                "mod" if depth == 0 && tokens.get(i + 2) == Some(&"{") => {
                    let length = group(&tokens[i + 2..]);
                    let file = self.0[at].file.clone();
                    let inner = self.add(&file, Some(at));
                    self.0[at].children.insert(next.to_owned(), inner);
                    self.read_items(&tokens[i + 3..i + 1 + length], inner);
                    i += 2 + length;
                    continue;
                }
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static"
                    if depth == 0 && next != "fn" =>
                {
                    self.0[at].defined.insert(next.to_owned());
                }
                "macro_rules" => {
                    let name = tokens.get(i + 2).copied().unwrap_or_default();
                    self.0[at].defined.insert(name.to_owned());
                }
                "pub" => {
                    // What stands in `pub(in a::b)` is no use of a name.
                    let scope = if next == "(" { group(&tokens[i + 1..]) } else { 0 };
                    is_public = true;
                    i += 1 + scope;
                    continue;
                }
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                token if is_name(token) && (i == 0 || tokens[i - 1] != "::") => {
                    let mut path = vec![token.to_owned()];
                    while let [_, "::", segment, ..] = &tokens[i..]
                        && is_name(segment)
                    {
                        path.push((*segment).to_owned());
                        i += 2;
                    }
                    if path.len() > 1 {
                        self.0[at].paths.insert(vec![path[0].clone()]);
                    }
                    self.0[at].paths.insert(path);
                }
                _ => {}
            }
            is_public = false;
            i += 1;
        }
        declared
    }

    /// What a path that stands in module `from` leads to; nothing if that is another crate.
    fn resolve(&self, from: usize, path: &[String], imports: usize) -> Option<Target> {
        if imports > MAX_IMPORTS {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.0[from].parent?,
            name => match self.0[from].children.get(name) {
                Some(child) => *child,
                None => match self.imported(from, name, imports)? {
                    (module, None) => module,
                    item => return Some(item),
                },
            },
        };
        while let Some((segment, after)) = rest.split_first() {
            let module = &self.0[at];
            let child = module.children.get(segment);
            at = if segment == "super" {
                module.parent?
            } else if segment == "self" {
                at
            } else if let (Some(child), false) = (child, after.is_empty()) {
                *child
            } else if module.defined.contains(segment) {
                return Some((at, Some(segment.clone())));
            } else {
                match (self.imported(at, segment, imports), child) {
                    (Some((module, None)), _) => module,
                    (Some(item), _) => return Some(item),
                    (None, Some(child)) => *child,
                    // A macro may have made it.
                    (None, None) => return Some((at, Some(segment.clone()))),
                }
            };
            rest = after;
        }
        Some((at, None))
    }

    /// What a name leads to that a module imports.
    fn imported(&self, module: usize, name: &str, imports: usize) -> Option<Target> {
        let own = &self.0[module].imports;
        let mut named = own.iter().filter(|import| import.name == name);
        named.find_map(|import| self.resolve(module, &import.path, imports + 1)).or_else(|| {
            let mut globs = own.iter().filter(|import| import.name == "*");
            globs.find_map(|import| self.of_glob(import, module, name, imports + 1))
        })
    }

    /// What a name leads to if the module that a glob names defines or imports it.
    fn of_glob(&self, glob: &Import, from: usize, name: &str, imports: usize) -> Option<Target> {
        let (module, None) = self.resolve(from, &glob.path, imports)? else { return None };
        if imports > MAX_IMPORTS || module == from {
            None
        } else if self.0[module].defined.contains(name) {
            Some((module, Some(name.to_owned())))
        } else {
            self.imported(module, name, imports + 1)
        }
    }

    fn is_below(&self, module: usize, ancestor: usize) -> bool {
        std::iter::successors(self.0[module].parent, |&at| self.0[at].parent)
            .any(|at| at == ancestor)
    }
}

/// The names that the tree of a `use` brings.
fn import_tree(tokens: &[&str], is_public: bool, imports: &mut Vec<Import>) {
    let mut path: Vec<String> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i] {
            "{" => {
                let end = i + group(&tokens[i..]) - 1;
                for branch in branches(&tokens[i + 1..end]) {
                    let before = imports.len();
                    import_tree(branch, is_public, imports);
                    for import in &mut imports[before..] {
                        import.path.splice(0..0, path.iter().cloned());
                        // `a::{self}` names `a`.
                        if import.path.last().is_some_and(|last| last == "self") {
                            import.path.pop();
                            if import.name == "self" {
                                import.name = import.path.last().cloned().unwrap_or_default();
                            }
                        }
                    }
                }
                return;
            }
            "*" => {
                imports.push(Import { path, name: "*".to_owned(), is_public });
                return;
            }
            "as" => {
                let name = tokens.get(i + 1).copied().unwrap_or_default().to_owned();
                imports.push(Import { path, name, is_public });
                return;
            }
            "::" => {}
            segment => path.push(segment.to_owned()),
        }
        i += 1;
    }
    if let Some(name) = path.last().cloned() {
        imports.push(Import { path, name, is_public });
    }
}

/// The branches between the commas outside of braces.
fn branches<'a>(tokens: &'a [&'a str]) -> impl Iterator<Item = &'a [&'a str]> {
    let mut depth = 0usize;
    tokens.split(move |token| {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && *token == ","
    })
}

/// Names, `::`, and every other character by itself; lifetimes are left out.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |text: &str| {
            text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
        };
        let length = match first {
            '\'' => 1 + word(&rest[1..]),
            _ if rest.starts_with("::") => 2,
            _ => word(rest).max(first.len_utf8()),
        };
        let (token, after) = rest.split_at(length);
        if first != '\'' {
            tokens.push(token);
        }
        rest = after.trim_start();
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens without the items that stand under `#[cfg(test)]`.
fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if let ["#", "[", "cfg", ..] = rest {
            let attribute = &rest[..1 + group(&rest[1..])];
            let is_other = attribute.iter().any(|token| ["any", "not"].contains(token));
            if attribute.contains(&"test") && !is_other {
                rest = &rest[attribute.len()..];
                rest = &rest[item(rest)..];
                continue;
            }
        }
        kept.push(*first);
        rest = &rest[1..];
    }
    kept
}

/// How many tokens the item has that begins here: to its semicolon or the end of its braces.
fn item(tokens: &[&str]) -> usize {
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i] {
            ";" => return i + 1,
            "{" => {
                let end = i + group(&tokens[i..]);
                // `use a::{b, c};`
                return if tokens.get(end) == Some(&";") { end + 1 } else { end };
            }
            "(" | "[" => i += group(&tokens[i..]),
            _ => i += 1,
        }
    }
    i
}

/// How many tokens the group in brackets has that begins here, with both brackets.
fn group(tokens: &[&str]) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::tree_of;

    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, &str)> =
            files.iter().map(|(file, code)| (format!("src/{file}"), *code)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(file, code)| (&**file, *code)).collect();
        let (_folder, tree) = tree_of(&files);
        let modules = Modules::read(&tree, files[0].0).expect("readable files");
        let line = |((from, to), names): ((&str, &str), BTreeSet<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("{from} {to} {}", names.join(" ")).replace("src/", "")
        };
        modules.uses().into_iter().map(line).collect()
    }

    const A: (&str, &str) = ("lib.rs", "mod a; mod b; pub(crate) mod c;");
    const C: (&str, &str) = ("c/mod.rs", "mod d; pub use d::{Deep, deep as low}; pub fn own() {}");
    const D: (&str, &str) = ("c/d.rs", "pub struct Deep; pub fn deep() {}");

    fn uses_in_a(code: &str) -> Vec<String> {
        uses(&[A, ("a.rs", code), ("b.rs", "pub fn f() {} pub(super) const F: u8 = 1;"), C, D])
    }

    #[test]
    fn every_way_to_write_a_path_is_seen() {
        for code in [
            "use crate::b::f;",
            "use super::b::{self, f as g};",
            "fn g() { crate::b::f() }",
            "fn g() { let x = super::b::f::<u8>(); }",
            "use super::b; fn g() { b::f() }",
            "use crate::{b::*, c}; fn g() { f() }",
            "mod inner { use super::super::b::f; }",
            "macro_rules! g { () => { $crate::b::f() } }",
            "#[cfg(any(feature = \"x\", test))] use crate::b::f;",
        ] {
            assert_eq!(uses_in_a(code), ["a.rs b.rs f"], "{code}");
        }
    }

    #[test]
    fn what_is_no_use_is_not_seen() {
        for code in [
            "use super::b;",
            "use std::b::f; use ::b::f;",
            "pub(in super::b) fn f() {}",
            "// crate::b::f\nconst A: &str = \"crate::b::f\";",
            "#[cfg(test)] use crate::b::f; #[cfg(test)] mod tests { use crate::b::f; }",
            "impl A { #[cfg(test)] #[must_use] fn g() -> [u8; 2] { crate::b::f() } }",
        ] {
            assert_eq!(uses_in_a(code), [] as [&str; 0], "{code}");
        }
    }

    #[test]
    fn a_name_counts_for_the_file_that_defines_it() {
        for code in [
            "use crate::c::{Deep, low};",
            "use crate::c; fn f(_: c::Deep) { c::low() }",
            "use crate::c::*; fn f(_: Deep) { low() }",
        ] {
            assert_eq!(uses_in_a(code), ["a.rs c/d.rs Deep deep"], "{code}");
        }
        assert_eq!(uses_in_a("use crate::c::own;"), ["a.rs c/mod.rs own"]);
    }

    #[test]
    fn a_parent_uses_what_its_own_code_names() {
        let lib = |code: &str| uses(&[("lib.rs", code), ("a.rs", "pub fn f() {}")]);
        assert_eq!(lib("mod a; pub use a::f;"), [] as [&str; 0]);
        assert_eq!(lib("mod a; use a::f;"), ["lib.rs a.rs f"]);
        assert_eq!(lib("mod a; pub use a::f; fn g() { f() }"), ["lib.rs a.rs f"]);
        assert_eq!(lib("mod a; fn g() { a::f() }"), ["lib.rs a.rs f"]);
    }

    #[test]
    fn a_function_may_be_named_like_its_module() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::a;"),
            ("a.rs", "pub fn a() {}"),
            ("b.rs", "use super::a; fn b() { a() }"),
        ];
        assert_eq!(uses(&files), ["b.rs a.rs a"]);
    }
}
