//! `cargo xtask dist`: what is handed out, in `target/dist/`.
//!
//! An archive for this machine's platform with the programs, manual pages, completions and licences; its SHA-256; and a
//! bill of materials. Everything is made of what cargo knows, without a network.

mod archive;
mod bill;
mod command;
mod licenses;
mod packages;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use self::command::{cargo, output};
use crate::output::print;

/// The programs that are handed out, with the packages that they are built from.
const PROGRAMS: [(&str, &str); 2] =
    [("stride", "stride-cli"), ("stride-avatars", "stride-avatars")];
/// Files of the repository that go along.
const TEXTS: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "NOTICE"];
/// Shells with their files of completions.
const SHELLS: [(&str, &str); 3] = [("bash", "stride"), ("zsh", "_stride"), ("fish", "stride.fish")];

/// Builds the programs and packs them.
pub(crate) fn run(root: &Path) -> Result<()> {
    let platform = host()?;
    let packages = packages::shipped(root, &platform, &PROGRAMS.map(|(_, package)| package))?;
    licenses::check(&packages)?;
    // The whole workspace, so that tests and programs share one build.
    output(cargo(root).args(["build", "--workspace", "--release"]))?;

    let version = packages::version_of(&packages, PROGRAMS[0].1)?;
    let name = format!("stride-{version}-{platform}");
    let dist = root.join("target/dist");
    let place = dist.join(&name);
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    for folder in ["man", "completions"] {
        fs::create_dir_all(place.join(folder))?;
    }
    for (program, _) in PROGRAMS {
        copy(&root.join("target/release").join(program), &place.join(program))?;
    }
    for text in TEXTS {
        copy(&root.join(text), &place.join(text))?;
    }
    let stride = place.join(PROGRAMS[0].0);
    output(Command::new(&stride).args(["man", "--out"]).arg(place.join("man")))?;
    for (shell, file) in SHELLS {
        let script = output(Command::new(&stride).args(["completions", shell]))?;
        fs::write(place.join("completions").join(file), script)?;
    }
    fs::write(place.join("THIRD-PARTY-LICENSES.txt"), licenses::texts(&packages)?)?;
    let bill = serde_json::to_vec_pretty(&bill::cyclone_dx(&packages, PROGRAMS[0].1)?)?;
    fs::write(place.join("stride.cdx.json"), bill)?;
    let (archive, hash) = archive::pack(&dist, &name)?;
    print(&format!("{}\nsha256 {hash}", archive.display()))?;
    print(&format!("{} packages, all under licences that allow it", packages.len()))
}

/// Checks that the licences of all packages allow to hand the programs out.
pub(crate) fn check_licenses(root: &Path) -> Result<()> {
    licenses::check(&packages::shipped(root, &host()?, &PROGRAMS.map(|(_, package)| package))?)
}

/// The platform that cargo builds for here.
fn host() -> Result<String> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let told = String::from_utf8(told).context("rustc -vV")?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
