//! `cargo xtask gpu`: builds the program for GPUs and compares what a GPU, or a driver that imitates one, computes
//! with what the processor computes (`stride doctor --check`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::output::print;

/// Where builds of Chromium have SwiftShader, a Vulkan driver for any processor, and a Vulkan loader.
const SWIFTSHADER: [&str; 3] =
    ["/usr/lib/chromium", "/usr/lib64/chromium-browser", "/usr/lib/chromium-browser"];
/// The file by which the loader knows it.
const SWIFTSHADER_FILE: &str = "vk_swiftshader_icd.json";

/// The Vulkan loader, which systems without a GPU may not have.
const LOADER: &str = "libvulkan.so.1";

/// A graphics adapter, and the environment in which the program finds it.
struct Adapter {
    /// As `--device` takes it.
    device: String,
    /// What `stride doctor` says of it.
    description: String,
    environment: Vec<(&'static str, OsString)>,
}

/// Builds, looks for an adapter, and compares.
pub(crate) fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    let program = build(root)?;
    print(&format!("gpu: built in {:.0} s", start.elapsed().as_secs_f64()))?;
    let adapter = adapter(&program)?;
    print(&format!("gpu: on {}", adapter.description))?;
    let start = Instant::now();
    let mut check = Command::new(&program);
    check.args(["doctor", "--check", &adapter.device]).envs(adapter.environment);
    let status = check.status().context("the program could not be started")?;
    if !status.success() {
        bail!("stride doctor --check {}: {status}", adapter.device);
    }
    print(&format!("gpu: everything passed in {:.0} s", start.elapsed().as_secs_f64()))
}

/// The program with the feature `gpu`, in a folder of its own, so that the builds for the processor stay as they are.
fn build(root: &Path) -> Result<PathBuf> {
    let usual =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = std::path::absolute(usual.join("gpu"))?;
    print(
        "gpu: building the program with --features gpu, about ten minutes on two cores the first time",
    )?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--package", "stride-cli", "--features", "gpu"];
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root).env("CARGO_TARGET_DIR", &target);
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {}: {status}", arguments.join(" "));
    }
    Ok(target.join("release").join(format!("stride{}", std::env::consts::EXE_SUFFIX)))
}

/// The adapter of this machine, or else a driver that imitates one, installed if there is none.
fn adapter(program: &Path) -> Result<Adapter> {
    if let Some(adapter) = adapter_with(program, Vec::new())? {
        return Ok(adapter);
    }
    if let Some(adapter) = swiftshader(program)? {
        return Ok(adapter);
    }
    print("gpu: there is no adapter; installing a driver that imitates one")?;
    install()?;
    adapter_with(program, Vec::new())?.context(
        "no adapter was found, although a driver was installed; `vulkaninfo --summary` says what the Vulkan loader finds",
    )
}

fn swiftshader(program: &Path) -> Result<Option<Adapter>> {
    for folder in SWIFTSHADER.map(Path::new) {
        let file = folder.join(SWIFTSHADER_FILE);
        if file.exists() {
            let mut environment = vec![("VK_DRIVER_FILES", file.into())];
            let loader = folder.join(LOADER);
            if loader.exists() {
                environment.push(("LD_LIBRARY_PATH", alone(&loader, program)?.into()));
            }
            return adapter_with(program, environment);
        }
    }
    Ok(None)
}

/// A folder beside the program with this loader and nothing else: Chromium's folder has other graphics libraries,
/// which programs would take as well.
fn alone(loader: &Path, program: &Path) -> Result<PathBuf> {
    let folder = program.with_file_name("vulkan-loader");
    std::fs::create_dir_all(&folder)?;
    let copy = folder.join(LOADER);
    std::fs::copy(loader, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(folder)
}

/// The first adapter that the program lists in an environment.
fn adapter_with(
    program: &Path,
    environment: Vec<(&'static str, OsString)>,
) -> Result<Option<Adapter>> {
    let mut doctor = Command::new(program);
    let output =
        doctor.arg("doctor").envs(environment.iter().map(|(key, value)| (key, value))).output();
    let output = output.context("the program could not be started")?;
    if !output.status.success() {
        bail!("stride doctor: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(first_adapter(&String::from_utf8_lossy(&output.stdout)).map(|(device, name)| Adapter {
        description: format!("{device}, {name}"),
        device,
        environment,
    }))
}

/// The name and the description of the first adapter in what `stride doctor` prints.
fn first_adapter(text: &str) -> Option<(String, String)> {
    let line = text.lines().find(|line| line.starts_with("gpu:"))?;
    let (device, name) = line.split_once(' ')?;
    Some((device.to_owned(), name.trim().to_owned()))
}

/// Installs lavapipe, a Vulkan driver for any processor, from the system's packages.
fn install() -> Result<()> {
    let packages = ["mesa-vulkan-drivers", "libvulkan1"];
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends"]] {
        let mut command = Command::new("apt-get");
        if !is_root() {
            command = Command::new("sudo");
            command.args(["--non-interactive", "apt-get"]);
        }
        command.args(arguments);
        if arguments[0] == "install" {
            command.args(packages);
        }
        let status = command.status().context(
            "only apt-get is known here; install a Vulkan driver, such as Mesa's lavapipe, and its loader, \
             and run this again",
        )?;
        if !status.success() {
            bail!(
                "apt-get {}: {status}; install {} and run this again",
                arguments[0],
                packages.join(" and ")
            );
        }
    }
    Ok(())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_adapter_is_read() {
        let text = "cpu         EPYC, 2 threads\ngpu:0       llvmpipe (LLVM 19), imitated\ngpu:1       x\n";
        let expected = ("gpu:0".to_owned(), "llvmpipe (LLVM 19), imitated".to_owned());
        assert_eq!(first_adapter(text), Some(expected));
        assert_eq!(first_adapter("auto takes cpu\n"), None);
    }
}
