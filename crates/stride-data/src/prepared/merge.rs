//! Joins the parts of a data set that were prepared separately.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use stride_files::FolderLock;

use super::manifest::{self, PreparedHeader};
use super::prepare::finish;
use super::store::{Row, Store};
use crate::DataError;

/// Joins prepared parts into the folder `out`, byte for byte what preparing everything at once gives.
///
/// Returns the number of images.
///
/// # Errors
/// The folders are not all parts of one data set, each once; a part is unfinished or damaged; `out` is one of them
/// or cannot be written.
pub fn merge_prepared(parts: &[PathBuf], out: &Path) -> Result<usize, DataError> {
    let problem =
        |path: &Path, problem: String| DataError::Merge { path: path.to_owned(), problem };
    let mut folders = Vec::new();
    for path in parts {
        let same_place = |other: &Path| other.canonicalize().ok() == path.canonicalize().ok();
        if out.exists() && same_place(out) {
            return Err(problem(path, "expected another folder for the whole".to_owned()));
        }
        let header = PreparedHeader::read(path)?;
        let part = header.part.ok_or_else(|| {
            problem(path, "expected a part, made with --shard, found a whole".to_owned())
        })?;
        folders.push((part, path, header));
    }
    folders.sort_by_key(|(part, ..)| part.index);
    let Some((_, first_path, first)) = folders.first() else {
        return Err(problem(out, "expected parts to join, found none".to_owned()));
    };
    for (_, path, header) in &folders {
        if let Some(difference) = first.difference(header) {
            let first = first_path.display();
            return Err(problem(path, format!("does not fit {first}: {difference}")));
        }
    }
    let count = first.part.map_or(1, |part| part.count);
    let found: Vec<(usize, usize)> = folders.iter().map(|(p, ..)| (p.index, p.count)).collect();
    if found != (0..count).map(|index| (index, count)).collect::<Vec<_>>() {
        let found: Vec<String> =
            found.iter().map(|(index, count)| format!("{index}/{count}")).collect();
        let found = found.join(", ");
        return Err(problem(out, format!("expected every part of {count} once, found {found}")));
    }

    let others: Vec<&Path> = folders.iter().map(|(_, path, _)| path.as_path()).collect();
    // A merge takes seconds and cannot be stopped.
    let _lock = FolderLock::acquire(out, &AtomicBool::new(false))?;
    let (mut store, places) = Store::open(out, &others, first.layout(), first.shard_size)?;
    let mut images = Vec::new();
    for (_, path, header) in &folders {
        for image in manifest::read(path, Some(header.manifest_sha256))? {
            let place = places.get(&image.key).ok_or_else(|| DataError::Damaged {
                path: path.to_path_buf(),
                problem: format!("no whole file has the latents of {}", image.name),
            })?;
            store.push(image.key, Row::Kept(*place))?;
            images.push(image);
        }
    }
    if images.is_empty() {
        return Err(DataError::NothingUsable { skipped: 0, first: None });
    }
    let header = PreparedHeader { part: None, ..first.clone() };
    finish(store, header, &images)?;
    Ok(images.len())
}
