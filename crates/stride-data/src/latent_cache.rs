//! Encoded images and tokenised captions in one file.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{DataError, Fingerprint};

/// Channels, height and width of a latent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentShape {
    /// Channels C.
    pub channels: usize,
    /// Height h.
    pub height: usize,
    /// Width w.
    pub width: usize,
}

impl LatentShape {
    /// Numbers in one latent.
    pub fn len(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether a latent has no numbers.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Latents and caption tokens of a data set in memory.
///
/// On disk it is one safetensors file: `latents` f32 `[N, C, h, w]`, `token_ids` u32 of all captions one
/// after the other, `caption_ends` u32 (where each caption ends in `token_ids`) and
/// `image_ends` u32 (where the captions of each image end in `caption_ends`); the metadata holds the
/// fingerprint of what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentCache {
    shape: LatentShape,
    latents: Vec<f32>,
    captions: Vec<Vec<Vec<u32>>>,
}

const FINGERPRINT: &str = "fingerprint";

impl LatentCache {
    /// A cache of `captions.len()` images; `latents` holds theirs one after the other, `captions` the token ids of
    /// each caption of each image.
    ///
    /// # Panics
    /// When the number of latents is not that of the images.
    pub fn new(shape: LatentShape, latents: Vec<f32>, captions: Vec<Vec<Vec<u32>>>) -> Self {
        assert_eq!(latents.len(), captions.len() * shape.len(), "latents of all images");
        Self { shape, latents, captions }
    }

    /// Reads the cache at `path` if it was made from `fingerprint`; makes and writes it if there is none.
    ///
    /// # Errors
    /// When the file is damaged or stale, when `make` fails, or the disk refuses.
    pub fn open_or_make<E: From<DataError>>(
        path: &Path,
        fingerprint: Fingerprint,
        make: impl FnOnce() -> Result<Self, E>,
    ) -> Result<Self, E> {
        if path.exists() {
            return Ok(Self::read(path, fingerprint)?);
        }
        let cache = make()?;
        cache.write(path, fingerprint)?;
        Ok(cache)
    }

    /// Reads a cache that was made from `fingerprint`.
    ///
    /// # Errors
    /// When the file is missing, damaged or stale.
    pub fn read(path: &Path, fingerprint: Fingerprint) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(DataError::io(path))?;
        let broken = |problem: String| DataError::BrokenCache { path: path.to_owned(), problem };
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
        let found = metadata
            .metadata()
            .as_ref()
            .and_then(|map| map.get(FINGERPRINT))
            .cloned()
            .unwrap_or_default();
        if found != fingerprint.to_string() {
            return Err(DataError::StaleCache {
                path: path.to_owned(),
                expected: fingerprint.to_string(),
                found,
            });
        }
        parse(&bytes).map_err(broken)
    }

    /// Writes the cache; the file appears complete or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, path: &Path, fingerprint: Fingerprint) -> Result<(), DataError> {
        let broken = |error: safetensors::SafeTensorError| DataError::BrokenCache {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let LatentShape { channels, height, width } = self.shape;
        let latents: Vec<u8> = self.latents.iter().flat_map(|v| v.to_le_bytes()).collect();
        let token_ids = to_bytes(self.captions.iter().flatten().flatten().copied());
        let caption_ends = ends(self.captions.iter().flatten().map(Vec::len));
        let image_ends = ends(self.captions.iter().map(Vec::len));
        let view =
            |dtype, shape: Vec<usize>, bytes| TensorView::new(dtype, shape, bytes).map_err(broken);
        let tensors = [
            ("latents", view(Dtype::F32, vec![self.len(), channels, height, width], &latents)?),
            ("token_ids", view(Dtype::U32, vec![token_ids.len() / 4], &token_ids)?),
            ("caption_ends", view(Dtype::U32, vec![caption_ends.len() / 4], &caption_ends)?),
            ("image_ends", view(Dtype::U32, vec![image_ends.len() / 4], &image_ends)?),
        ];
        let metadata = HashMap::from([(FINGERPRINT.to_owned(), fingerprint.to_string())]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(broken)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(DataError::io(dir))?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(DataError::io(dir))?;
        file.write_all(&bytes)
            .and_then(|()| file.as_file().sync_all())
            .map_err(DataError::io(path))?;
        file.persist(path).map_err(|error| DataError::io(path)(error.error))?;
        Ok(())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.captions.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.captions.is_empty()
    }

    /// Shape of every latent.
    pub fn shape(&self) -> LatentShape {
        self.shape
    }

    /// The latent of an image, `[C, h, w]`.
    pub fn latent(&self, index: usize) -> &[f32] {
        &self.latents[index * self.shape.len()..][..self.shape.len()]
    }

    /// Token ids of every caption of an image, the one for validation first.
    pub fn captions(&self, index: usize) -> &[Vec<u32>] {
        &self.captions[index]
    }
}

fn parse(bytes: &[u8]) -> Result<LatentCache, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensor = |name: &str, dtype: Dtype| {
        let view = file.tensor(name).map_err(|error| error.to_string())?;
        match view.dtype() == dtype {
            true => Ok(view),
            false => Err(format!("tensor {name}: expected {dtype:?}, found {:?}", view.dtype())),
        }
    };
    let integers = |name: &str| {
        let view = tensor(name, Dtype::U32)?;
        Ok::<Vec<u32>, String>(
            view.data()
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        )
    };
    let view = tensor("latents", Dtype::F32)?;
    let &[count, channels, height, width] = view.shape() else {
        return Err(format!("tensor latents: expected four axes, found shape {:?}", view.shape()));
    };
    let latents =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let captions = cut(&integers("token_ids")?, &integers("caption_ends")?)
        .ok_or("caption_ends do not fit token_ids")?;
    let captions =
        cut(&captions, &integers("image_ends")?).ok_or("image_ends do not fit caption_ends")?;
    if captions.len() != count {
        return Err(format!("{count} latents but captions of {} images", captions.len()));
    }
    Ok(LatentCache { shape: LatentShape { channels, height, width }, latents, captions })
}

/// Cuts a list at the given ends; none if they are not in order or the last is not the list's end.
fn cut<T: Clone>(all: &[T], ends: &[u32]) -> Option<Vec<Vec<T>>> {
    let mut start = 0;
    let mut parts = Vec::with_capacity(ends.len());
    for &end in ends {
        parts.push(all.get(start..end as usize)?.to_vec());
        start = end as usize;
    }
    (start == all.len()).then_some(parts)
}

fn ends(lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    to_bytes(lengths.scan(0, |end, length| {
        *end += length as u32;
        Some(*end)
    }))
}

fn to_bytes(values: impl Iterator<Item = u32>) -> Vec<u8> {
    values.flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> LatentCache {
        let shape = LatentShape { channels: 1, height: 2, width: 2 };
        let captions = vec![vec![vec![1, 5, 2], vec![1, 2]], vec![vec![1, 9, 9, 2]]];
        LatentCache::new(shape, (0..8).map(|v| v as f32 / 3.0).collect(), captions)
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("sub/latents.safetensors");
        let fingerprint = Fingerprint::new().with(b"data");
        let made = LatentCache::open_or_make(&path, fingerprint, || Ok::<_, DataError>(cache()))
            .expect("made");
        let read = LatentCache::open_or_make(&path, fingerprint, || -> Result<_, DataError> {
            panic!("must be read, not made")
        });
        assert_eq!(read.expect("read"), made);
        assert_eq!(made.captions(0)[1], [1, 2]);
        assert_eq!(made.latent(1)[0], 4.0 / 3.0);
    }

    #[test]
    fn stale_and_damaged_caches_are_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("latents.safetensors");
        let fingerprint = Fingerprint::new().with(b"old weights");
        cache().write(&path, fingerprint).expect("writable");
        let stale =
            LatentCache::read(&path, Fingerprint::new().with(b"new weights")).expect_err("stale");
        assert!(stale.to_string().contains("stale"), "{stale}");
        let bytes = fs::read(&path).expect("readable");
        fs::write(&path, &bytes[..bytes.len() - 3]).expect("writable");
        let broken = LatentCache::read(&path, fingerprint).expect_err("cut short");
        assert!(broken.to_string().contains("not a latent cache"), "{broken}");
    }
}
