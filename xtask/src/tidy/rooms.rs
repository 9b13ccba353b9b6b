//! Rules about rooms of the house: presets, fixtures, the map, the sizes of what is committed.

use anyhow::Result;
use toml::Table;

use super::tree::Tree;

/// What the header of a preset tells, so that its numbers can be judged without running it.
const HEADER: [&str; 5] = ["Reproduces:", "Command:", "Hardware:", "Duration:", "Expect:"];

/// Where the shipped pipeline lies and how large it may be, since it is part of every binary.
const SHIPPED_MODEL: (&str, u64) = ("models/avatars/", 48_000_000);

/// How large any other file may be.
const MAX_FILE_BYTES: u64 = 10 << 20;

/// Checks all rooms.
pub(super) fn check(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    check_presets(tree, problems)?;
    check_fixtures(tree, problems)?;
    check_map(tree, problems)?;
    check_sizes(tree, problems)
}

fn check_presets(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    for file in tree.below("configs/", ".toml") {
        let text = tree.read(file)?;
        if let Err(error) = text.parse::<Table>() {
            problems.push(format!("{file}: not TOML: {}", error.message()));
        }
        let header: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        for part in HEADER.into_iter().filter(|part| !header.contains(part)) {
            problems.push(format!("{file}: the comment at its top has no `{part}`"));
        }
    }
    Ok(())
}

fn check_fixtures(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    let scripts: Vec<String> =
        tree.below("parity/", ".py").map(|script| tree.read(script)).collect::<Result<_>>()?;
    for file in tree.below("crates/", "") {
        // A folder of fixtures is one.
        let Some((_, fixture)) = file.split_once("/tests/fixtures/") else { continue };
        let name = fixture.split('/').next().unwrap_or(fixture);
        let stem = name.split('.').next().unwrap_or(name);
        if !scripts.iter().any(|script| writes(script, stem)) {
            problems.push(format!("{file}: no script in parity/ names `{stem}`; who wrote it?"));
        }
    }
    Ok(())
}

/// Whether a script names the fixture, whole or in the two parts of a text such as `dit_{case}`.
fn writes(script: &str, stem: &str) -> bool {
    let in_parts = |(at, _): (usize, &str)| {
        script.contains(&format!("{}_{{", &stem[..at])) && names(script, &stem[at + 1..])
    };
    names(script, stem) || stem.match_indices('_').any(in_parts)
}

/// Whether the text has the name as a whole word.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

fn check_map(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    const MAP: &str = "ARCHITECTURE.md";
    if !tree.files().any(|file| file == MAP) {
        problems.push(format!("{MAP}: missing"));
        return Ok(());
    }
    let map = tree.read(MAP)?;
    for manifest in tree.files().filter(|file| file.ends_with("/Cargo.toml")) {
        let name = manifest.split('/').rev().nth(1).unwrap_or(manifest);
        if !map.contains(&format!("`{name}`")) {
            problems.push(format!("{MAP}: says nothing about `{name}`"));
        }
    }
    Ok(())
}

fn check_sizes(tree: &Tree, problems: &mut Vec<String>) -> Result<()> {
    let (shipped, max_shipped_bytes) = SHIPPED_MODEL;
    for file in tree.files().filter(|file| !file.starts_with("models/")) {
        let bytes = tree.size(file)?;
        if bytes > MAX_FILE_BYTES {
            problems.push(format!("{file}: {bytes} bytes, at most {MAX_FILE_BYTES}"));
        }
    }
    let bytes = tree.below(shipped, "").map(|file| tree.size(file)).sum::<Result<u64>>()?;
    if bytes > max_shipped_bytes {
        problems.push(format!("{shipped}: {bytes} bytes in all, at most {max_shipped_bytes}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::problems_in;

    const MAP: (&str, &str) = ("ARCHITECTURE.md", "`stride` is the core");

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        problems_in(files, check)
    }

    #[test]
    fn presets_parse_and_tell_what_to_expect() {
        let header = HEADER.map(|part| format!("# {part} x\n")).concat();
        let good = format!("{header}\nseed = 1\n");
        assert!(found(&[MAP, ("configs/a.toml", &good)]).is_empty());
        let broken = format!("{header}\nseed = \n");
        assert!(found(&[MAP, ("configs/a.toml", &broken)])[0].contains("not TOML"));
        assert_eq!(found(&[MAP, ("configs/a.toml", "seed = 1\n")]).len(), HEADER.len());
    }

    #[test]
    fn a_fixture_has_a_script() {
        let fixture = ("crates/a/tests/fixtures/dit.safetensors", "");
        let script = ("parity/export_dit.py", "save(OUT / 'dit.safetensors')");
        assert!(found(&[MAP, fixture, script]).is_empty());
        let parts = ("parity/export_dit.py", "CASES = ['small']; save(f'dit_{case}.json')");
        assert!(found(&[MAP, ("crates/a/tests/fixtures/dit_small.json", ""), parts]).is_empty());
        let folder = ("crates/a/tests/fixtures/folders/clip/model-00001-of-00002.safetensors", "");
        let script = ("parity/export_folders.py", "OUT = ROOT / 'folders'");
        assert!(found(&[MAP, folder, script]).is_empty());
        let other = ("parity/export_edit.py", "save(OUT / 'edit.safetensors')");
        assert!(found(&[MAP, fixture, other])[0].contains("names `dit`"));
    }

    #[test]
    fn the_map_names_every_crate() {
        let manifest = ("crates/stride/Cargo.toml", "");
        assert!(found(&[MAP, manifest]).is_empty());
        let other = ("crates/stride-data/Cargo.toml", "");
        assert!(found(&[MAP, other])[0].contains("`stride-data`"));
    }

    #[test]
    fn large_files_are_found() {
        let large = "x".repeat(MAX_FILE_BYTES as usize + 1);
        assert!(found(&[MAP, ("docs/a.png", &large)])[0].contains("docs/a.png"));
        assert!(found(&[MAP, ("models/avatars/a.safetensors", &large)]).is_empty());
    }
}
