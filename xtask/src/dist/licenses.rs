//! Licences of all packages: whether they allow what is done, and their texts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Result, bail};
use spdx::Expression;

use super::packages::Package;

/// Licences under which programs may be handed out with their texts alone.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "Unicode-3.0",
    "Zlib",
];
/// Packages that have a file in place of a name, and that somebody has read: Apache-2.0, and drawings under terms that NOTICE
/// repeats.
const READ: [&str; 2] = ["cfg_block", "dicebear-styles"];
/// How files of licences begin.
const FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Refuses packages whose licence does not allow to hand the programs out.
pub(super) fn check(packages: &[Package]) -> Result<()> {
    let foreign = packages.iter().filter(|package| package.is_foreign);
    let problems: Vec<String> = foreign.filter_map(|package| problem(package).err()).collect();
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "expected licences among {}; read those of these packages, and add them to xtask/src/dist/licenses.rs if they \
         allow it:\n{}",
        ALLOWED.join(", "),
        problems.join("\n")
    )
}

fn problem(package: &Package) -> Result<(), String> {
    let Package { name, version, license, .. } = package;
    let Some(license) = license else {
        let is_read = READ.contains(&name.as_str());
        return if is_read {
            Ok(())
        } else {
            Err(format!("  {name} {version}: no licence by name"))
        };
    };
    // Old manifests write a slash for OR.
    let expression = Expression::parse(&license.replace('/', " OR "))
        .map_err(|error| format!("  {name} {version}: {license}: {}", error.reason))?;
    let is_allowed = |id: &str| ALLOWED.contains(&id);
    let allows = expression
        .evaluate(|requirement| requirement.license.id().is_some_and(|id| is_allowed(id.name)));
    if allows { Ok(()) } else { Err(format!("  {name} {version}: {license}")) }
}

/// The names of all packages by others with their licences, and every licence text once.
pub(super) fn texts(packages: &[Package]) -> Result<String> {
    let mut list = String::from("The programs contain these packages.\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.is_foreign) {
        let Package { name, version, license, repository, folder, .. } = package;
        let license = license.as_deref().unwrap_or("see its text below");
        let repository = repository.as_deref().unwrap_or_default();
        writeln!(list, "{name} {version}: {license}  {repository}")?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().to_uppercase();
            if FILES.iter().any(|start| file.starts_with(start)) && entry.file_type()?.is_file() {
                let text = String::from_utf8_lossy(&fs::read(entry.path())?).trim().to_owned();
                texts.entry(text).or_default().push(format!("{name} {version}"));
            }
        }
    }
    let mut texts: Vec<(String, Vec<String>)> = texts.into_iter().collect();
    texts.sort_by(|(_, a), (_, b)| a.cmp(b));
    for (text, mut of) in texts {
        of.dedup();
        writeln!(list, "\n{}\n{}\n\n{text}", "=".repeat(80), of.join(", "))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, license: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            repository: None,
            is_foreign: true,
            folder: std::path::PathBuf::new(),
        }
    }

    #[test]
    fn a_licence_that_asks_for_more_is_named() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT OR Apache-2.0) AND NCSA",
        ] {
            assert_eq!(problem(&package("a", Some(allowed))), Ok(()), "{allowed}");
        }
        for refused in [Some("GPL-3.0-only"), Some("MIT AND AGPL-3.0-only"), Some("my own"), None] {
            let error = check(&[package("a", refused)]).expect_err("refused").to_string();
            assert!(error.contains("a 1.0.0"), "{error}");
        }
        check(&[package("dicebear-styles", None)]).expect("read by a person");
        let ours = Package { is_foreign: false, ..package("a", None) };
        check(&[ours]).expect("our own");
    }
}
