//! `cargo xtask dist`: what is handed out, in `target/dist/`.
//!
//! For this machine's platform, an archive of the programs with manual pages, completions, licences and a bill of
//! materials, and the wheel of the Python package; each with its SHA-256.

mod archive;
mod bill;
mod licenses;
mod packages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use self::packages::Package;
use crate::command::{cargo, output};
use crate::output::print;
use crate::python;

/// The programs that are handed out, with the packages that they are built from.
const PROGRAMS: [(&str, &str); 2] =
    [("stride", "stride-cli"), ("stride-avatars", "stride-avatars")];
/// The Python package.
const PYTHON: &str = "stride-python";
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
    write_licenses(&packages, PROGRAMS[0].1, &place)?;
    let archive = archive::pack(&dist, &name)?;
    print(&format!("{} packages, all under licences that allow it", packages.len()))?;
    let wheel = wheel(root, &platform, &dist)?;
    for file in [archive, wheel] {
        print(&format!("{}\nsha256 {}", file.display(), archive::write_hash(&file)?))?;
    }
    Ok(())
}

/// Builds the wheel of the Python package with the licences of what is in it.
fn wheel(root: &Path, platform: &str, dist: &Path) -> Result<PathBuf> {
    let packages = packages::shipped(root, platform, &[PYTHON])?;
    licenses::check(&packages)?;
    // Inside of the package, whose files all become part of the wheel.
    let place = root.join("crates/stride-python/python/stride/licenses");
    fs::create_dir_all(&place)?;
    for text in TEXTS.iter().filter(|text| !text.ends_with(".md")) {
        copy(&root.join(text), &place.join(text))?;
    }
    write_licenses(&packages, PYTHON, &place)?;
    let built = python::wheel(root);
    fs::remove_dir_all(&place)?;
    let built = built?;
    let wheel = dist.join(built.file_name().context("a wheel without a name")?);
    copy(&built, &wheel)?;
    Ok(wheel)
}

/// The licences of packages by others, and the bill of materials of a package of ours.
fn write_licenses(packages: &[Package], of: &str, place: &Path) -> Result<()> {
    fs::write(place.join("THIRD-PARTY-LICENSES.txt"), licenses::texts(packages)?)?;
    let bill = serde_json::to_vec_pretty(&bill::cyclone_dx(packages, of)?)?;
    Ok(fs::write(place.join("stride.cdx.json"), bill)?)
}

/// Checks that the licences of all packages allow to hand the programs out.
pub(crate) fn check_licenses(root: &Path) -> Result<()> {
    let roots = [PROGRAMS[0].1, PROGRAMS[1].1, PYTHON];
    licenses::check(&packages::shipped(root, &host()?, &roots)?)
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
