//! The packages that become part of the programs, as cargo tells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{cargo, output};

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Its licence as an SPDX expression; some packages have a file alone.
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
    /// Whether it comes from a registry, or is one of ours.
    pub(super) is_foreign: bool,
    /// Where its source lies.
    pub(super) folder: PathBuf,
}

/// The packages that `roots` need on a platform, with these themselves, by name. What only builds and tests need is left
/// out.
pub(super) fn shipped(root: &Path, platform: &str, roots: &[&str]) -> Result<Vec<Package>> {
    let mut cargo = cargo(root);
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", platform]);
    // Of the programs, none has it.
    cargo.args(["--features", "stride-python/python"]);
    let told = output(&mut cargo)?;
    reachable(&serde_json::from_slice(&told).context("cargo metadata")?, roots)
}

/// The version of a package of ours.
pub(super) fn version_of(packages: &[Package], name: &str) -> Result<String> {
    let package = packages.iter().find(|package| package.name == name);
    Ok(package.with_context(|| format!("no package {name}"))?.version.clone())
}

fn reachable(metadata: &Value, roots: &[&str]) -> Result<Vec<Package>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let is_normal = |dependency: &Value| {
            list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        };
        let dependencies = list(&node["deps"]).into_iter().filter(is_normal);
        let ids = dependencies.filter_map(|dependency| text(&dependency["pkg"])).collect();
        needs.insert(text(&node["id"]).context("a node without id")?, ids);
    }
    let all = list(&metadata["packages"]);
    let is_root = |package: &&Value| roots.iter().any(|root| package["name"] == *root);
    let mut open: Vec<String> =
        all.iter().filter(is_root).filter_map(|package| text(&package["id"])).collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    let mut packages = Vec::new();
    for package in
        all.iter().filter(|package| text(&package["id"]).is_some_and(|id| found.contains(&id)))
    {
        let manifest = text(&package["manifest_path"]).context("a package without manifest")?;
        packages.push(Package {
            name: text(&package["name"]).context("a package without name")?,
            version: text(&package["version"]).context("a package without version")?,
            license: text(&package["license"]),
            repository: text(&package["repository"]),
            is_foreign: !package["source"].is_null(),
            folder: Path::new(&manifest).parent().context("a manifest without folder")?.to_owned(),
        });
    }
    packages.sort();
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_only_builds_and_tests_need_is_left_out() {
        let package = |name: &str| {
            json!({"name": name, "version": "1.0.0", "id": name, "license": "MIT", "repository": null,
                   "source": "registry", "manifest_path": format!("/{name}/Cargo.toml")})
        };
        let needs = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let node = |name: &str, deps: Value| json!({"id": name, "deps": deps});
        let packages = ["a", "b", "c", "d", "e"].map(package);
        let metadata = json!({
            "packages": packages,
            "resolve": {"nodes": [
                node("a", json!([needs("b", Value::Null), needs("c", json!("build")), needs("d", json!("dev"))])),
                node("b", json!([needs("a", Value::Null)])),
                node("e", json!([])),
            ]},
        });
        let found = reachable(&metadata, &["a"]).expect("whole");
        assert_eq!(
            found.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(found[1].folder, Path::new("/b"));
    }
}
