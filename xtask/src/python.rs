//! `cargo xtask python`: builds the Python package and tests it, and the files that the program writes, with the real
//! Pillow, NumPy, mypy and pytest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, run};
use crate::output::print;

/// The package.
const PACKAGE: &str = "crates/stride-python";

/// Builds the wheel, installs it in an environment of its own, and tests it there.
pub(crate) fn test(root: &Path) -> Result<()> {
    let wheel = wheel(root)?;
    let python = environment(root)?;
    let install = ["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"];
    run(Command::new(&python).args(install).arg(&wheel))?;
    // The program that the package is compared with, from the build that all tests share.
    run(cargo(root).args(["build", "--release"]))?;
    let program = root.join("target/release").join(program_name("stride"));
    print("python: types")?;
    run(Command::new(&python).args(["-m", "mypy.stubtest", "stride"]))?;
    print("python: tests")?;
    let tests = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider"];
    let mut tests_run = Command::new(&python);
    tests_run.args(tests).arg(root.join(PACKAGE).join("tests"));
    run(tests_run.env("STRIDE_PROGRAM", program))
}

/// Builds the wheel of this machine's platform. Cargo chooses the features of dependencies for this
/// package alone, so that the first time takes as long as the first build of the program.
pub(crate) fn wheel(root: &Path) -> Result<PathBuf> {
    let out = root.join("target/python/wheels");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let python = environment(root)?;
    print("python: building the wheel")?;
    let mut build = Command::new(&python);
    build.args(["-m", "maturin", "build", "--quiet", "--release", "--locked", "--manifest-path"]);
    run(build.arg(root.join(PACKAGE).join("Cargo.toml")).arg("--out").arg(&out))?;
    let mut wheels = fs::read_dir(&out)?.map(|entry| entry.map(|entry| entry.path()));
    wheels.next().context("maturin wrote no wheel")?.context("a folder that cannot be read")
}

/// The Python of an environment with the packages that building and testing need.
fn environment(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/python/environment");
    let (bin, name) = if cfg!(windows) { ("Scripts", "python.exe") } else { ("bin", "python") };
    let python = folder.join(bin).join(name);
    if !python.exists() {
        let system = if cfg!(windows) { "python" } else { "python3" };
        let made = Command::new(system).args(["-m", "venv"]).arg(&folder).status();
        if !made.is_ok_and(|status| status.success()) {
            bail!(
                "`{system} -m venv` failed; the wheel needs Python 3.9 or later with venv (on Debian and Ubuntu, the \
                 packages python3 and python3-venv)"
            );
        }
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python)
        .args(install)
        .arg(root.join(PACKAGE).join("tests/requirements.txt")))?;
    Ok(python)
}

fn program_name(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
