//! A folder as an archive whose bytes depend on its files alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// Packs the folder `name` in `place` as `NAME.tar.gz` beside it.
///
/// Files are in the order of their names, owned by nobody and of no time; programs may be run.
pub(super) fn pack(place: &Path, name: &str) -> Result<PathBuf> {
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for path in files(&place.join(name))? {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(if is_program(&bytes) { 0o755 } else { 0o644 });
        header.set_mtime(0);
        archive.append_data(&mut header, path.strip_prefix(place)?, bytes.as_slice())?;
    }
    let path = place.join(format!("{name}.tar.gz"));
    fs::write(&path, archive.into_inner()?.finish()?)?;
    Ok(path)
}

/// Writes the SHA-256 of a file as `FILE.sha256` beside it, as `sha256sum --check` reads it; and returns it.
pub(super) fn write_hash(path: &Path) -> Result<String> {
    let hash = hex::encode(Sha256::digest(fs::read(path)?));
    let file = path.file_name().context("a path without a name")?.to_string_lossy();
    fs::write(path.with_file_name(format!("{file}.sha256")), format!("{hash}  {file}\n"))?;
    Ok(hash)
}

/// Whether bytes are a program of Linux, macOS or Windows.
fn is_program(bytes: &[u8]) -> bool {
    [&b"\x7fELF"[..], b"\xcf\xfa\xed\xfe", b"MZ"].iter().any(|start| bytes.starts_with(start))
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_same_files_give_the_same_archive() {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(place.path().join("a/b")).expect("writable");
        fs::write(place.path().join("a/b/text"), "text").expect("writable");
        fs::write(place.path().join("a/program"), b"\x7fELF...").expect("writable");
        let path = pack(place.path(), "a").expect("packed");
        let hash = write_hash(&path).expect("written");
        pack(place.path(), "a").expect("packed");
        assert_eq!(write_hash(&path).expect("written"), hash);
        let told = fs::read_to_string(place.path().join("a.tar.gz.sha256")).expect("written");
        assert_eq!(told, format!("{hash}  a.tar.gz\n"));
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).expect("written")));
        let entries = archive.entries().expect("an archive").map(|entry| {
            let mut entry = entry.expect("whole");
            let mut text = Vec::new();
            entry.read_to_end(&mut text).expect("whole");
            let name = entry.path().expect("a name").display().to_string();
            (name, entry.header().mode().expect("a number"), text.len())
        });
        let expected = [("a/b/text".to_owned(), 0o644, 4), ("a/program".to_owned(), 0o755, 7)];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
