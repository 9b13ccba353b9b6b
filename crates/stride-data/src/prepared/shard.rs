//! A shard: the latents of several hundred images in one file.

use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::{ContentHash, DataError};

/// Channels, height and width of a latent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentShape {
    /// Channels C.
    pub channels: usize,
    /// Height h.
    pub height: usize,
    /// Width w.
    pub width: usize,
}

impl LatentShape {
    /// Number of values in a latent.
    pub fn len(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether a latent has no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What is stored of an image: for each view the mean, followed by the log-variance for variational autoencoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// 1: the image; 2: also its mirror image.
    pub(super) views: usize,
    /// 1: the latent; 2: mean and log-variance.
    pub(super) moments: usize,
    pub(super) shape: LatentShape,
}

impl Layout {
    /// Values stored per image.
    pub(super) fn row_len(self) -> usize {
        self.views * self.moments * self.shape.len()
    }

    /// Bytes stored per image: two per value.
    pub(super) fn row_bytes(self) -> usize {
        2 * self.row_len()
    }

    fn dims(self, count: usize) -> Vec<usize> {
        let LatentShape { channels, height, width } = self.shape;
        vec![count, self.views, self.moments, channels, height, width]
    }
}

/// A shard on disk that was whole when it was read.
///
/// It is a safetensors file: `latents` f16 `[n, views, moments, C, h, w]` and `keys` u8 `[n, 32]`, what each
/// was made from; the metadata has `sha256`, a [`ContentHash::of_parts`] of the two.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) keys: Vec<ContentHash>,
    /// Where the latents begin in the file.
    start: u64,
}

const LATENTS: &str = "latents";
const KEYS: &str = "keys";
const SHA256: &str = "sha256";

impl Shard {
    /// Reads and checks a whole file; `None` if its rows have another layout.
    ///
    /// # Errors
    /// The file cannot be read ([`DataError::Io`]) or is damaged ([`DataError::Damaged`]).
    pub(super) fn open(path: &Path, layout: Layout) -> Result<Option<Self>, DataError> {
        Ok(Self::read(path, layout)?.map(|(shard, _)| shard))
    }

    /// As [`Shard::open`], with the bytes of the latents.
    pub(super) fn read(path: &Path, layout: Layout) -> Result<Option<(Self, Vec<u8>)>, DataError> {
        let mut bytes = stride_files::read_file(path).map_err(DataError::io(path))?;
        let (keys, range) = match parse(&bytes, layout) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(problem) => return Err(DataError::Damaged { path: path.to_owned(), problem }),
        };
        let start = range.start as u64;
        bytes.truncate(range.end);
        bytes.drain(..range.start);
        Ok(Some((Self { path: path.to_owned(), keys, start }, bytes)))
    }

    /// The bytes of one row.
    pub(super) fn row(&self, row: usize, layout: Layout) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; layout.row_bytes()];
        let mut file = stride_files::open_file(&self.path).map_err(DataError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.start + (row * bytes.len()) as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(DataError::io(&self.path))?;
        Ok(bytes)
    }

    /// Writes a shard; `latents` holds the rows one after the other.
    pub(super) fn write(
        path: &Path,
        layout: Layout,
        keys: Vec<ContentHash>,
        latents: &[u8],
    ) -> Result<(), DataError> {
        let damaged = |error: safetensors::SafeTensorError| DataError::Damaged {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let key_bytes: Vec<u8> = keys.iter().flat_map(|key| *key.as_bytes()).collect();
        let checksum = ContentHash::of_parts(&[&key_bytes, latents]).to_string();
        let key_dims = vec![keys.len(), ContentHash::LENGTH];
        let tensors = [
            (
                LATENTS,
                TensorView::new(Dtype::F16, layout.dims(keys.len()), latents).map_err(damaged)?,
            ),
            (KEYS, TensorView::new(Dtype::U8, key_dims, &key_bytes).map_err(damaged)?),
        ];
        // A single entry, since several would be written in an order that differs from run to run.
        let metadata = HashMap::from([(SHA256.to_owned(), checksum)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(damaged)?;
        Ok(stride_files::write_whole(path, &bytes)?)
    }
}

type Parsed = (Vec<ContentHash>, std::ops::Range<usize>);

/// The keys and the byte range of the latents; `None` for another layout.
fn parse(bytes: &[u8], layout: Layout) -> Result<Option<Parsed>, String> {
    let (header_len, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let data = 8 + header_len;
    let tensor = |name: &str, dtype: Dtype| {
        let info = metadata.info(name).ok_or_else(|| format!("tensor {name} is missing"))?;
        if info.dtype != dtype {
            return Err(format!("tensor {name}: expected {dtype:?}, found {:?}", info.dtype));
        }
        let (start, end) = info.data_offsets;
        let range = data + start..data + end;
        match bytes.get(range.clone()) {
            Some(content) => Ok((info.shape.as_slice(), range, content)),
            None => Err("the file is cut short".to_owned()),
        }
    };
    let (key_dims, _, key_bytes) = tensor(KEYS, Dtype::U8)?;
    let (dims, range, latents) = tensor(LATENTS, Dtype::F16)?;
    let stored = metadata.metadata().as_ref().and_then(|map| map.get(SHA256));
    let found = ContentHash::of_parts(&[key_bytes, latents]).to_string();
    if stored != Some(&found) {
        return Err("its content is not what its checksum says".to_owned());
    }
    let count = dims.first().copied().unwrap_or_default();
    if key_dims != [count, ContentHash::LENGTH] {
        return Err(format!("{count} latents, but keys of shape {key_dims:?}"));
    }
    if dims != layout.dims(count) {
        return Ok(None);
    }
    let (keys, _) = key_bytes.as_chunks();
    Ok(Some((keys.iter().map(|&key| ContentHash::from_bytes(key)).collect(), range)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LAYOUT: Layout =
        Layout { views: 2, moments: 1, shape: LatentShape { channels: 1, height: 1, width: 2 } };

    fn keys() -> Vec<ContentHash> {
        [b"a", b"b", b"c"].map(|name| ContentHash::of(name)).to_vec()
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("latents.safetensors");
        let latents: Vec<u8> = (0..24).collect();
        Shard::write(&path, LAYOUT, keys(), &latents).expect("writable");
        let first = fs::read(&path).expect("written");
        let (shard, all) = Shard::read(&path, LAYOUT).expect("whole").expect("of this layout");
        assert_eq!((&shard.keys, all), (&keys(), latents));
        assert_eq!(shard.row(1, LAYOUT).expect("readable"), (8..16).collect::<Vec<u8>>());
        Shard::write(&path, LAYOUT, keys(), &(0..24).collect::<Vec<u8>>()).expect("writable");
        assert_eq!(fs::read(&path).expect("written"), first, "the same bytes every time");
        let other = Layout { views: 1, moments: 2, ..LAYOUT };
        assert!(Shard::open(&path, other).expect("whole").is_none(), "another layout");
    }

    #[test]
    fn every_damage_is_noticed() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("latents.safetensors");
        Shard::write(&path, LAYOUT, keys(), &[7; 24]).expect("writable");
        let whole = fs::read(&path).expect("written");
        let header = u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
        for place in 8 + header..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, &bytes).expect("writable");
            let error = Shard::open(&path, LAYOUT).expect_err("damaged").to_string();
            assert!(error.contains("latents.safetensors") && error.contains("checksum"), "{error}");
        }
        for length in [0, 7, 20, whole.len() - 1] {
            fs::write(&path, &whole[..length]).expect("writable");
            assert!(matches!(Shard::open(&path, LAYOUT), Err(DataError::Damaged { .. })));
        }
    }
}
