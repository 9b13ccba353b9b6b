//! The shards of a folder: existing rows, new rows, and the commit of a new state.
//!
//! New shards that differ from those in place are written to `unfinished/` under unused names (*pieces*) and moved
//! into place together at the end. So rows of the old state can be reused in any order, and whenever a run is
//! interrupted, the next one finds every row of either state.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest;
use super::shard::{Layout, Shard};
use crate::{ContentHash, DataError};

/// The folder for pieces.
const UNFINISHED: &str = "unfinished";
/// How names of shards begin and end.
const SHARD: (&str, &str) = ("latents-", ".safetensors");

/// The path of a shard.
pub(super) fn shard_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{}{number:05}{}", SHARD.0, SHARD.1))
}

/// The rows that were found, by the hash of what they were made from.
pub(super) type Places = HashMap<ContentHash, Place>;

/// A row in an existing file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    shard: usize,
    row: usize,
}

/// The latents of an image.
#[derive(Debug)]
pub(super) enum Row {
    /// In a file.
    Kept(Place),
    /// Just made, in memory.
    Made(Vec<u8>),
}

/// A shard of the new state.
enum Finished {
    /// It is in place already.
    Stands,
    /// It is a piece in `unfinished/`.
    Piece(PathBuf),
}

/// A folder while its new state is assembled row by row.
pub(super) struct Store {
    dir: PathBuf,
    layout: Layout,
    shard_size: usize,
    /// Every intact file that was found.
    found: Vec<Shard>,
    /// Damaged files.
    pub(super) damaged: Vec<PathBuf>,
    pieces_claimed: HashSet<usize>,
    next_piece: usize,
    finished: Vec<Finished>,
    pending: Vec<(ContentHash, Row)>,
    /// The piece with the rows that were pending when it was written.
    saved: Option<PathBuf>,
}

impl Store {
    /// Reads the shards and pieces in `dir`, which is created if it is missing, and the shards in `others`, whose
    /// rows may be reused as well.
    ///
    /// # Errors
    /// A folder or file cannot be read or created; damaged files are listed, not errors.
    pub(super) fn open(
        dir: &Path,
        others: &[&Path],
        layout: Layout,
        shard_size: usize,
    ) -> Result<(Self, Places), DataError> {
        let unfinished = dir.join(UNFINISHED);
        fs::create_dir_all(&unfinished).map_err(DataError::io(&unfinished))?;
        let mut store = Self {
            dir: dir.to_owned(),
            layout,
            shard_size,
            found: Vec::new(),
            damaged: Vec::new(),
            pieces_claimed: HashSet::new(),
            next_piece: 0,
            finished: Vec::new(),
            pending: Vec::new(),
            saved: None,
        };
        let mut places = Places::new();
        for folder in [dir, &unfinished].into_iter().chain(others.iter().copied()) {
            for (number, path) in numbered_shards(folder)? {
                if folder == unfinished {
                    store.next_piece = store.next_piece.max(number + 1);
                }
                store.look_at(&path, &mut places)?;
            }
        }
        Ok((store, places))
    }

    fn look_at(&mut self, path: &Path, places: &mut Places) -> Result<(), DataError> {
        match Shard::open(path, self.layout) {
            Ok(Some(shard)) => {
                for (row, &key) in shard.keys.iter().enumerate() {
                    places.entry(key).or_insert(Place { shard: self.found.len(), row });
                }
                self.found.push(shard);
            }
            Ok(None) => {}
            Err(error @ DataError::Damaged { .. }) => {
                tracing::warn!("{error}");
                self.damaged.push(path.to_owned());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Adds the next row of the new state.
    pub(super) fn push(&mut self, key: ContentHash, row: Row) -> Result<(), DataError> {
        self.pending.push((key, row));
        if self.pending.len() == self.shard_size { self.flush() } else { Ok(()) }
    }

    /// Bytes of the rows that wait for their shard to fill up.
    pub(super) fn pending_bytes(&self) -> usize {
        let made = self.pending.iter().filter(|(_, row)| matches!(row, Row::Made(_)));
        made.count() * self.layout.row_bytes()
    }

    /// Writes the pending rows to a piece, so that an interruption does not lose them.
    pub(super) fn save(&mut self) -> Result<(), DataError> {
        if self.pending_bytes() == 0 {
            return Ok(());
        }
        let path = self.write_piece()?;
        self.replace_saved(Some(path))
    }

    fn replace_saved(&mut self, path: Option<PathBuf>) -> Result<(), DataError> {
        match std::mem::replace(&mut self.saved, path) {
            Some(old) => Ok(stride_files::remove_if_there(&old)?),
            None => Ok(()),
        }
    }

    fn write_piece(&mut self) -> Result<PathBuf, DataError> {
        let path = shard_path(&self.dir.join(UNFINISHED), self.next_piece);
        self.next_piece += 1;
        let mut latents = Vec::with_capacity(self.pending.len() * self.layout.row_bytes());
        for (_, row) in &self.pending {
            match row {
                Row::Made(bytes) => latents.extend_from_slice(bytes),
                Row::Kept(place) => {
                    latents.extend(self.found[place.shard].row(place.row, self.layout)?);
                }
            }
        }
        let keys = self.pending.iter().map(|&(key, _)| key).collect();
        Shard::write(&path, self.layout, keys, &latents)?;
        Ok(path)
    }

    /// Ends the current shard.
    fn flush(&mut self) -> Result<(), DataError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let standing = shard_path(&self.dir, self.finished.len());
        let has_these = |shard: &Shard| {
            shard.keys.len() == self.pending.len()
                && shard.keys.iter().zip(&self.pending).all(|(found, (key, _))| found == key)
        };
        let stands = self.found.iter().any(|shard| shard.path == standing && has_these(shard));
        let unfinished = self.dir.join(UNFINISHED);
        let piece = self.found.iter().enumerate().find(|(index, shard)| {
            shard.path.starts_with(&unfinished)
                && !self.pieces_claimed.contains(index)
                && has_these(shard)
        });
        let piece = piece.map(|(index, shard)| (index, shard.path.clone()));
        let finished = match (stands, piece) {
            (true, _) => Finished::Stands,
            (false, Some((index, path))) => {
                self.pieces_claimed.insert(index);
                Finished::Piece(path)
            }
            (false, None) => Finished::Piece(self.write_piece()?),
        };
        self.finished.push(finished);
        self.pending.clear();
        self.replace_saved(None)
    }

    /// Commits the new state: shards, then `descriptions` (file names and contents), the last of which marks the
    /// folder as complete. If nothing has changed, nothing is touched.
    pub(super) fn finish(mut self, descriptions: &[(&str, Vec<u8>)]) -> Result<(), DataError> {
        self.flush()?;
        let surplus = numbered_shards(&self.dir)?
            .into_iter()
            .filter(|&(number, _)| number >= self.finished.len())
            .map(|(_, path)| path);
        let surplus: Vec<PathBuf> = surplus.collect();
        let moved = self.finished.iter().any(|shard| matches!(shard, Finished::Piece(_)));
        let mut same = surplus.is_empty() && !moved;
        for (name, bytes) in descriptions {
            same &=
                stride_files::read_file(&self.dir.join(name)).is_ok_and(|found| found == *bytes);
        }
        if !same {
            for name in [manifest::PREPARED_REPORT, manifest::HEADER] {
                stride_files::remove_if_there(&self.dir.join(name))?;
            }
            for (number, shard) in self.finished.iter().enumerate() {
                if let Finished::Piece(from) = shard {
                    let to = shard_path(&self.dir, number);
                    fs::rename(from, &to).map_err(DataError::io(&to))?;
                }
            }
            for path in &surplus {
                stride_files::remove_if_there(path)?;
            }
            stride_files::sync_folder(&self.dir)?;
            for (name, bytes) in descriptions {
                stride_files::write_if_changed(&self.dir.join(name), bytes)?;
            }
        }
        stride_files::remove_temporary(&self.dir)?;
        let unfinished = self.dir.join(UNFINISHED);
        fs::remove_dir_all(&unfinished).map_err(DataError::io(&unfinished))
    }
}

/// The shards in a folder with their numbers, sorted.
fn numbered_shards(dir: &Path) -> Result<Vec<(usize, PathBuf)>, DataError> {
    let mut shards = Vec::new();
    for entry in fs::read_dir(dir).map_err(DataError::io(dir))? {
        let path = entry.map_err(DataError::io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(SHARD.0).and_then(|rest| rest.strip_suffix(SHARD.1));
        if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
            shards.push((number, path));
        }
    }
    shards.sort_unstable();
    Ok(shards)
}
