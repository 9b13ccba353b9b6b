//! One open file that many threads read at places of their own.

use std::fs::File;
use std::io::{Read, Result, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const BUFFER_BYTES: usize = 8 << 10;

/// A reader with a place of its own in a file that others read too; a clone begins where it stands.
#[derive(Clone)]
pub(super) struct SharedFile {
    file: Arc<Mutex<File>>,
    length: u64,
    position: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    buffered_at: u64,
}

impl SharedFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = stride_files::open_file(path)?;
        let length = file.metadata()?.len();
        let file = Arc::new(Mutex::new(file));
        Ok(Self { file, length, position: 0, buffer: Vec::new(), buffered_at: 0 })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `out` from `offset`.
    pub(super) fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(out)
    }

    fn read_some_at(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read(out)
    }
}

impl Read for SharedFile {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let inside = self.position.checked_sub(self.buffered_at).unwrap_or(u64::MAX);
        if inside >= self.buffer.len() as u64 {
            if out.len() >= BUFFER_BYTES {
                let count = self.read_some_at(self.position, out)?;
                self.position += count as u64;
                return Ok(count);
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(BUFFER_BYTES, 0);
            let count = self.read_some_at(self.position, &mut buffer)?;
            buffer.truncate(count);
            (self.buffer, self.buffered_at) = (buffer, self.position);
        }
        let start = (self.position - self.buffered_at) as usize;
        let available = &self.buffer[start..];
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_read_at_their_own_places() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0..40_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).expect("writable");
        let mut first = SharedFile::open(&path).expect("there");
        let mut start = [0; 10];
        first.read_exact(&mut start).expect("long enough");
        let mut second = first.clone();
        first.seek(SeekFrom::End(-5)).expect("inside");
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).expect("readable");
        assert_eq!(rest, bytes[39_995..]);
        let mut whole = Vec::new();
        second.read_to_end(&mut whole).expect("readable");
        assert_eq!((start.as_slice(), whole.as_slice()), (&bytes[..10], &bytes[10..]));
        second.seek(SeekFrom::Start(3)).expect("inside");
        assert!(second.seek(SeekFrom::Current(-4)).is_err());
    }
}
