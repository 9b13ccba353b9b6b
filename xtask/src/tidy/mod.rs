//! The rules of the tree that the compiler does not know.

use std::path::Path;

use anyhow::{Result, bail};

mod arrows;
mod circles;
mod code;
mod modules;
mod rooms;
mod sources;
mod tree;

use tree::Tree;

use crate::output::print;

/// Prints every breach of a rule.
///
/// # Errors
/// There is one, or the tree cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let problems = problems(root)?;
    for problem in &problems {
        print(problem)?;
    }
    if !problems.is_empty() {
        bail!("tidy found {} problems; STYLE.md gives the rules", problems.len());
    }
    Ok(())
}

/// Every breach of a rule: the file, what was found, what to do.
fn problems(root: &Path) -> Result<Vec<String>> {
    let tree = Tree::walk(root)?;
    let mut problems = Vec::new();
    sources::check(&tree, &mut problems)?;
    arrows::check(&tree, &mut problems)?;
    rooms::check(&tree, &mut problems)?;
    circles::check(&tree, &mut problems)?;
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
