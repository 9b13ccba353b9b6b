//! Pictures that stay: files that say how they were made, and an index of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use stride::image::read_image_file;
use stride_files::{
    FileError, FolderLock, read_file, remove_if_there, remove_temporary, write_whole,
};
use thiserror::Error;
use utoipa::ToSchema;

/// The index, which is made anew from the files where it is missing or damaged.
const INDEX: &str = "gallery.sqlite";
/// A prompt with a space before each of its words.
const TEXT: &str = "(' ' || REPLACE(prompt, CHAR(10), ' '))";
/// Version of the index's table.
const VERSION: i64 = 1;
const TABLE: &str = "
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY,
        file TEXT NOT NULL UNIQUE,
        prompt TEXT NOT NULL,
        settings TEXT NOT NULL
    );
    PRAGMA user_version = 1;";

/// A folder of PNG files, found through an SQLite index.
///
/// A file is written before its entry and removed before it, so that at any moment the files are the truth, and
/// opening the gallery brings the index in line with them.
#[derive(Debug)]
pub(crate) struct Gallery {
    dir: PathBuf,
    index: Mutex<Connection>,
    /// The number that was given last.
    last_id: AtomicI64,
    _lock: FolderLock,
}

/// A gallery that cannot be used.
#[derive(Debug, Error)]
pub enum GalleryError {
    /// The folder or a file in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder cannot be listed.
    #[error("{}: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The index.
    #[error("the gallery's index: {0}")]
    Index(rusqlite::Error),
    /// Another server writes into the folder.
    #[error(
        "{}: another server has this gallery; expected a folder of its own for each, so use another --gallery",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl From<rusqlite::Error> for GalleryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

/// How a picture was made, as its file tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PictureSettings {
    /// What it should show.
    pub(crate) prompt: String,
    /// What it was drawn from, where the model added to the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) completed_prompt: Option<String>,
    /// Whether the model was not to add to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) as_typed: bool,
    /// What guidance steered away from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) negative_prompt: Option<String>,
    /// Its own seed.
    pub(crate) seed: u64,
    /// Steps from noise to image.
    pub(crate) steps: usize,
    /// The guidance scale.
    pub(crate) cfg_scale: f64,
    /// Pixels in a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// The model's name.
    pub(crate) model: String,
    /// Which begins the hash of its weights.
    pub(crate) model_hash: String,
}

/// A picture of the gallery.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its number, and when it was made: in milliseconds since 1970, or a little more where two came at once.
    pub(crate) id: i64,
    /// How it was made.
    #[serde(flatten)]
    pub(crate) settings: PictureSettings,
}

impl Gallery {
    /// Opens the gallery in a folder, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be written to, or another server has it.
    pub(crate) fn open(dir: &Path) -> Result<Self, GalleryError> {
        let Some(lock) = FolderLock::try_acquire(dir)? else {
            return Err(GalleryError::InUse { path: dir.to_owned() });
        };
        remove_temporary(dir)?;
        let path = dir.join(INDEX);
        let index = match open_index(&path) {
            Ok(index) => index,
            Err(error) => {
                tracing::warn!(
                    "{}: {error}; the index is made anew from the files",
                    path.display()
                );
                for suffix in ["", "-wal", "-shm"] {
                    remove_if_there(&dir.join(format!("{INDEX}{suffix}")))?;
                }
                open_index(&path)?
            }
        };
        let last_id =
            index.query_row("SELECT COALESCE(MAX(id), 0) FROM pictures", [], |row| row.get(0))?;
        let gallery = Self {
            dir: dir.to_owned(),
            index: Mutex::new(index),
            last_id: AtomicI64::new(last_id),
            _lock: lock,
        };
        gallery.follow_files()?;
        Ok(gallery)
    }

    /// Adds files without entry to the index, and removes entries without file.
    fn follow_files(&self) -> Result<(), GalleryError> {
        let io = |error| GalleryError::Io { path: self.dir.clone(), error };
        let mut files = HashSet::new();
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".png") && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                files.insert(name);
            }
        }
        let known: HashSet<String> = {
            let index = self.lock();
            let mut statement = index.prepare("SELECT file FROM pictures")?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for gone in known.difference(&files) {
            self.lock().execute("DELETE FROM pictures WHERE file = ?1", [gone])?;
        }
        let mut new: Vec<&String> = files.difference(&known).collect();
        new.sort();
        for name in new {
            match self.read_settings(name) {
                Some(settings) => {
                    // Where the index is made anew, a picture has the number that it had.
                    let is_free = |id: &i64| self.path(*id).is_ok_and(|path| path.is_none());
                    let id = id_in(name).filter(is_free).unwrap_or_else(|| self.next_id());
                    self.last_id.fetch_max(id, Ordering::Relaxed);
                    self.insert(id, name, &settings)?;
                }
                None => tracing::warn!(
                    "{}: does not say how it was made, so the gallery leaves it out",
                    self.dir.join(name).display()
                ),
            }
        }
        Ok(())
    }

    fn read_settings(&self, name: &str) -> Option<PictureSettings> {
        let bytes = read_file(&self.dir.join(name)).ok()?;
        serde_json::from_str(&read_image_file(&bytes).ok()?.metadata.json?).ok()
    }

    /// Keeps a picture and returns its number; when this returns, the file survives a power cut.
    ///
    /// # Errors
    /// The file or its entry cannot be written.
    pub(crate) fn add(&self, png: &[u8], settings: &PictureSettings) -> Result<i64, GalleryError> {
        let id = self.next_id();
        let name = format!("{id:013}-{}.png", settings.seed);
        write_whole(&self.dir.join(&name), png)?;
        self.insert(id, &name, settings)?;
        Ok(id)
    }

    /// A number that was never given: the time, or the next number where that is taken.
    fn next_id(&self) -> i64 {
        let now = milliseconds_since_1970();
        let later = |last: i64| now.max(last + 1);
        let order = Ordering::Relaxed;
        match self.last_id.fetch_update(order, order, |last| Some(later(last))) {
            Ok(last) | Err(last) => later(last),
        }
    }

    fn insert(&self, id: i64, name: &str, settings: &PictureSettings) -> Result<(), GalleryError> {
        let json = serde_json::to_string(settings).expect("texts and numbers are JSON");
        self.lock().execute(
            "INSERT INTO pictures (id, file, prompt, settings) VALUES (?1, ?2, ?3, ?4)",
            params![id, name, settings.prompt, json],
        )?;
        Ok(())
    }

    /// Pictures whose prompts hold words that begin with those of `search`, the newest first, from the one before `before` on.
    ///
    /// # Errors
    /// The index cannot be read.
    pub(crate) fn list(
        &self,
        search: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Entry>, GalleryError> {
        let words: Vec<String> = search.split_whitespace().map(pattern).collect();
        let condition = format!(" AND {TEXT} LIKE ? ESCAPE '\\'").repeat(words.len());
        let query = format!(
            "SELECT id, settings FROM pictures WHERE id < ?{condition} ORDER BY id DESC LIMIT {limit}"
        );
        let index = self.lock();
        let mut statement = index.prepare_cached(&query)?;
        statement.raw_bind_parameter(1, before.unwrap_or(i64::MAX))?;
        for (place, word) in words.iter().enumerate() {
            statement.raw_bind_parameter(place + 2, word)?;
        }
        let mut rows = statement.raw_query();
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.extend(entry(row)?);
        }
        Ok(entries)
    }

    /// The file of a picture; nothing if it is not there.
    ///
    /// # Errors
    /// The index cannot be read.
    pub(crate) fn file(&self, id: i64) -> Result<Option<Vec<u8>>, GalleryError> {
        Ok(self.path(id)?.and_then(|path| read_file(&path).ok()))
    }

    /// Removes a picture; says whether it was there.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(crate) fn remove(&self, id: i64) -> Result<bool, GalleryError> {
        let Some(path) = self.path(id)? else { return Ok(false) };
        remove_if_there(&path)?;
        self.lock().execute("DELETE FROM pictures WHERE id = ?1", [id])?;
        Ok(true)
    }

    /// Where the file of a picture is; its name comes from the index, never from a request.
    fn path(&self, id: i64) -> Result<Option<PathBuf>, GalleryError> {
        let query = "SELECT file FROM pictures WHERE id = ?1";
        let name: Option<String> =
            self.lock().query_row(query, [id], |row| row.get(0)).optional()?;
        Ok(name.map(|name| self.dir.join(name)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.index.lock().unwrap_or_else(|error| error.into_inner())
    }
}

fn open_index(path: &Path) -> Result<Connection, rusqlite::Error> {
    let index = Connection::open(path)?;
    // The files are the truth, so that an entry lost in a power cut comes back.
    index.pragma_update(None, "journal_mode", "WAL")?;
    index.pragma_update(None, "synchronous", "NORMAL")?;
    let version: i64 = index.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => index.execute_batch(TABLE)?,
        VERSION => {
            index.query_row("PRAGMA quick_check(1)", [], |row| {
                match row.get::<_, String>(0)?.as_str() {
                    "ok" => Ok(()),
                    _ => Err(rusqlite::Error::InvalidQuery),
                }
            })?;
        }
        _ => return Err(rusqlite::Error::IntegralValueOutOfRange(0, version)),
    }
    Ok(index)
}

/// A row; nothing if its settings are of another version.
fn entry(row: &Row<'_>) -> Result<Option<Entry>, rusqlite::Error> {
    let settings: String = row.get(1)?;
    let Ok(settings) = serde_json::from_str(&settings) else { return Ok(None) };
    Ok(Some(Entry { id: row.get(0)?, settings }))
}

/// A word that begins so, anywhere in [`TEXT`].
fn pattern(word: &str) -> String {
    let mut pattern = String::from("% ");
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

/// The number in a file's name, if JavaScript can hold it.
fn id_in(name: &str) -> Option<i64> {
    name.split_once('-')?.0.parse().ok().filter(|id| (1..1 << 53).contains(id))
}

fn milliseconds_since_1970() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::image::{ImageMetadata, RgbImage, png_bytes};

    fn settings(prompt: &str, seed: u64) -> PictureSettings {
        PictureSettings {
            prompt: prompt.to_owned(),
            completed_prompt: None,
            as_typed: false,
            negative_prompt: None,
            seed,
            steps: 4,
            cfg_scale: 1.5,
            width: 1,
            height: 1,
            model: "test".to_owned(),
            model_hash: "0123456789".to_owned(),
        }
    }

    fn png(settings: &PictureSettings) -> Vec<u8> {
        let image = RgbImage { width: 1, height: 1, pixels: vec![1, 2, 3] };
        let json = Some(serde_json::to_string(settings).expect("JSON"));
        png_bytes(&image, &ImageMetadata { parameters: None, json }).expect("writable")
    }

    fn prompts(gallery: &Gallery, search: &str) -> Vec<String> {
        let entries = gallery.list(search, None, 10).expect("readable");
        entries.into_iter().map(|entry| entry.settings.prompt).collect()
    }

    #[test]
    fn pictures_are_found_by_words_and_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let gallery = Gallery::open(dir.path()).expect("opens");
        let texts = ["a man with a hat", "a woman, 100% red hair", "a \\ under_score"];
        for (seed, text) in texts.iter().enumerate() {
            let settings = settings(text, u64::MAX - seed as u64);
            let id = gallery.add(&png(&settings), &settings).expect("written");
            assert_eq!(gallery.file(id).expect("readable"), Some(png(&settings)));
        }
        assert!(matches!(Gallery::open(dir.path()), Err(GalleryError::InUse { .. })));
        drop(gallery);
        let gallery = Gallery::open(dir.path()).expect("opens again");
        assert_eq!(prompts(&gallery, ""), [texts[2], texts[1], texts[0]]);
        assert_eq!(prompts(&gallery, "HAT man"), [texts[0]]);
        assert_eq!(prompts(&gallery, "man"), [texts[0]], "which is no woman");
        assert_eq!(prompts(&gallery, "wom ha"), [texts[1]]);
        assert_eq!(prompts(&gallery, "100%"), [texts[1]]);
        assert_eq!(prompts(&gallery, "under_s"), [texts[2]]);
        assert!(prompts(&gallery, "under%s").is_empty() && prompts(&gallery, "u_d").is_empty());
        assert_eq!(prompts(&gallery, "\\"), [texts[2]]);
        let page = gallery.list("", None, 2).expect("readable");
        let rest = gallery.list("", Some(page[1].id), 2).expect("readable");
        assert_eq!((page.len(), rest.len(), rest[0].settings.seed), (2, 1, u64::MAX));
        assert!(gallery.remove(rest[0].id).expect("removed"));
        assert!(!gallery.remove(rest[0].id).expect("gone already"));
        assert_eq!(gallery.file(rest[0].id).expect("readable"), None);
        assert_eq!(prompts(&gallery, "").len(), 2);
    }

    #[test]
    fn the_files_are_the_truth() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let add = |gallery: &Gallery, text: &str| {
            let settings = settings(text, 1);
            gallery.add(&png(&settings), &settings).expect("written")
        };
        let gallery = Gallery::open(dir.path()).expect("opens");
        add(&gallery, "stays");
        let goes = add(&gallery, "goes");
        let gone = gallery.path(goes).expect("readable").expect("there");
        drop(gallery);
        // Killed between a file and its entry, and the other way round; files of somebody else.
        std::fs::remove_file(gone).expect("there");
        std::fs::write(path("0000000000009-1.png"), png(&settings("comes", 1))).expect("written");
        std::fs::write(path("notes.png"), b"no image").expect("written");
        let gallery = Gallery::open(dir.path()).expect("opens");
        assert_eq!(prompts(&gallery, ""), ["stays", "comes"]);
        let ids = gallery.list("", None, 10).expect("readable").into_iter().map(|entry| entry.id);
        let ids: Vec<i64> = ids.collect();
        drop(gallery);
        for damage in [b"no database at all".as_slice(), b""] {
            for file in std::fs::read_dir(dir.path()).expect("a folder") {
                let file = file.expect("a file").path();
                if file.to_string_lossy().contains(INDEX) {
                    std::fs::write(file, damage).expect("written");
                }
            }
            let gallery = Gallery::open(dir.path()).expect("opens");
            assert_eq!(prompts(&gallery, ""), ["stays", "comes"]);
            let again =
                gallery.list("", None, 10).expect("readable").into_iter().map(|entry| entry.id);
            assert!(again.eq(ids.iter().copied()), "numbers stay");
            assert!(path("notes.png").exists());
        }
    }
}
