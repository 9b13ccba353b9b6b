//! Which crate may depend on which, read from the manifests.

use anyhow::{Context as _, Result};
use toml::Table;

use super::tree::Tree;

/// The arrows: every crate and those of ours it may use. A crate that is not here is a problem,
/// so that a new arrow is a decision somebody takes.
///
/// Evaluation takes any model or folder of images, so it must not know training; the server
/// ships without training, as the Python package does; nothing depends on the program; avatars know nothing of ours.
const ARROWS: [(&str, &[&str]); 12] = [
    ("stride", &["stride-kernels"]),
    ("stride-avatars", &[]),
    (
        "stride-cli",
        &[
            "stride",
            "stride-data",
            "stride-eval",
            "stride-files",
            "stride-kernels",
            "stride-models",
            "stride-server",
            "stride-train",
        ],
    ),
    ("stride-data", &["stride", "stride-files", "stride-kernels"]),
    ("stride-eval", &["stride", "stride-data", "stride-files", "stride-kernels", "stride-models"]),
    ("stride-files", &[]),
    ("stride-kernels", &[]),
    ("stride-models", &["stride", "stride-files", "stride-kernels"]),
    (
        "stride-python",
        &[
            "stride",
            "stride-data",
            "stride-eval",
            "stride-files",
            "stride-kernels",
            "stride-models",
        ],
    ),
    ("stride-server", &["stride", "stride-files", "stride-kernels", "stride-models"]),
    ("stride-train", &["stride", "stride-data", "stride-files", "stride-kernels", "stride-models"]),
    ("xtask", &[]),
];

/// Checks every manifest below the root.
pub(super) fn check(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    for file in tree.files().filter(|file| file.ends_with("/Cargo.toml")) {
        let manifest: Table = tree.read(file)?.parse().with_context(|| file.to_owned())?;
        let name = manifest.get("package").and_then(|package| package.get("name"));
        let Some(name) = name.and_then(toml::Value::as_str) else {
            problems.push(format!("{file}: a manifest without package.name"));
            continue;
        };
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name) else {
            problems.push(format!("{file}: `{name}` is new; add it to the arrows of xtask"));
            continue;
        };
        for dependency in ours(&manifest) {
            if !allowed.contains(&dependency.as_str()) {
                problems.push(format!("{file}: `{name}` must not depend on `{dependency}`"));
            }
        }
    }
    Ok(())
}

/// The dependencies of every kind and target that are crates of this repository.
fn ours(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(manifest)
        .chain(targets.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table));
    let mut names: Vec<String> = tables
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| table.get(kind))
        })
        .flatten()
        .filter_map(toml::Value::as_table)
        .flatten()
        .map(|(key, value)| {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            renamed.unwrap_or(key).to_owned()
        })
        .filter(|name| ARROWS.iter().any(|(crate_name, _)| crate_name == name))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::problems_in;

    fn found(name: &str, dependencies: &str) -> Vec<String> {
        let manifest = format!("[package]\nname = \"{name}\"\n{dependencies}");
        problems_in(&[("crates/a/Cargo.toml", &manifest)], check)
    }

    #[test]
    fn arrows_of_every_kind_are_read() {
        assert!(found("stride-eval", "[dependencies]\nstride.workspace = true\n").is_empty());
        for dependencies in [
            "[dependencies]\nstride-train.workspace = true\n",
            "[dev-dependencies]\nstride-train = { path = \"../stride-train\" }\n",
            "[target.'cfg(unix)'.dependencies]\nt = { package = \"stride-train\", version = \"1\" }\n",
        ] {
            let problems = found("stride-eval", dependencies);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains("`stride-eval` must not depend on `stride-train`"));
        }
    }

    #[test]
    fn a_new_crate_must_be_entered() {
        assert!(found("stride-novelty", "")[0].contains("`stride-novelty` is new"));
    }

    #[test]
    fn arrows_make_no_cycle() {
        let mut reached: Vec<&str> = Vec::new();
        while reached.len() < ARROWS.len() {
            let next = ARROWS.iter().find(|(name, uses)| {
                !reached.contains(name) && uses.iter().all(|used| reached.contains(used))
            });
            reached.push(next.expect("the remaining crates depend on each other").0);
        }
    }
}
