//! The rules of the tree that the compiler does not know.

use std::path::Path;

use anyhow::Result;

mod arrows;
mod circles;
mod code;
mod modules;
mod rooms;
mod sources;
mod tree;

use tree::Tree;

/// Every breach of a rule, one line each: the file, what was found, what to do.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let tree = Tree::walk(root)?;
    let mut problems = Vec::new();
    sources::check(&tree, &mut problems)?;
    arrows::check(&tree, &mut problems)?;
    rooms::check(&tree, &mut problems)?;
    Ok(problems)
}

/// Every circle between files of a crate.
pub(crate) fn circles(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    circles::check(&Tree::walk(root)?, &mut problems)?;
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_is_tidy() {
        let problems = problems(&crate::repository()).expect("the tree can be read");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
