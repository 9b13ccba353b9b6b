//! The metadata of a prepared folder: header, manifest and tokens.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use stride::tokenizer::ClipTokenizer;

use super::shard::{LatentShape, Layout};
use crate::{CelebaAttributes, ContentHash, DataError, Part};

/// The file whose presence means that the folder is complete.
pub(crate) const HEADER: &str = "prepared.json";
/// One line per image.
pub(super) const MANIFEST: &str = "manifest.jsonl";
/// The captions as token ids.
pub(super) const TOKENS: &str = "tokens.safetensors";
/// The report on the images, by whoever prepares them: removed before anything that it tells of changes, and written after
/// everything else that is made of the whole folder, so that it is there only if all of that is up to date.
pub const PREPARED_REPORT: &str = "report.json";
/// Version of the format of prepared folders.
pub(super) const FORMAT: u32 = 1;

/// How a prepared folder was made: the file `prepared.json`, written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedHeader {
    pub(super) format: u32,
    /// Height and width of the images that were encoded.
    pub resolution: usize,
    /// The resize filter.
    pub filter: String,
    /// Whether their mirror images were encoded as well.
    pub mirrored: bool,
    /// Whether every mean is followed by a log-variance.
    pub variational: bool,
    /// Shape of a latent.
    pub latent: LatentShape,
    /// Hash of the autoencoder's configuration and weights.
    pub autoencoder: ContentHash,
    /// Its compute dtype.
    pub dtype: String,
    /// Number of images.
    #[serde(rename = "pictures")]
    pub images: usize,
    /// Images per shard; the last one may have fewer.
    pub shard_size: usize,
    /// Which part of a data set this is; absent for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    pub(super) manifest_sha256: ContentHash,
    pub(super) tokens_sha256: ContentHash,
}

impl PreparedHeader {
    pub(super) fn layout(&self) -> Layout {
        Layout {
            views: 1 + usize::from(self.mirrored),
            moments: 1 + usize::from(self.variational),
            shape: self.latent,
        }
    }

    /// The first difference that prevents two parts from being joined.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let parts = |header: &Self| header.part.map_or(1, |part| part.count);
        let fields = [
            ("resolution", self.resolution.to_string(), other.resolution.to_string()),
            ("filter", self.filter.clone(), other.filter.clone()),
            ("mirrored", self.mirrored.to_string(), other.mirrored.to_string()),
            ("autoencoder", self.autoencoder.to_string(), other.autoencoder.to_string()),
            ("dtype", self.dtype.clone(), other.dtype.clone()),
            ("number of parts", parts(self).to_string(), parts(other).to_string()),
            ("shard_size", self.shard_size.to_string(), other.shard_size.to_string()),
        ];
        let (name, expected, found) = fields.into_iter().find(|(_, a, b)| a != b)?;
        Some(format!("{name}: expected {expected}, found {found}"))
    }

    /// Reads the header of a complete folder.
    ///
    /// # Errors
    /// There is none, or it was written by another version.
    pub fn read(dir: &Path) -> Result<Self, DataError> {
        let path = dir.join(HEADER);
        if !path.exists() {
            return Err(DataError::Unfinished { path: dir.to_owned() });
        }
        let bytes = stride_files::read_file(&path).map_err(DataError::io(&path))?;
        let header: Self = serde_json::from_slice(&bytes).map_err(|error| DataError::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        match header.format {
            FORMAT => Ok(header),
            found => Err(DataError::Damaged {
                path,
                problem: format!("expected format {FORMAT}, found {found}"),
            }),
        }
    }
}

/// One image of a prepared folder: a line of `manifest.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedImage {
    /// Its name in the data set.
    pub name: String,
    /// Hash of the file.
    pub sha256: ContentHash,
    /// Hash of everything its latents depend on.
    pub key: ContentHash,
    /// Its captions, the one for validation first; never empty.
    pub captions: Vec<String>,
    /// The CelebA attributes it has, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<String>>,
}

impl PreparedImage {
    pub(super) fn names_of(attributes: CelebaAttributes) -> Vec<String> {
        attributes.present().map(str::to_owned).collect()
    }
}

/// The manifest as text.
pub(super) fn to_lines(images: &[PreparedImage]) -> Result<Vec<u8>, serde_json::Error> {
    let mut lines = Vec::new();
    for image in images {
        serde_json::to_writer(&mut lines, image)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Reads the manifest of a folder; `expected` is its hash according to the header.
pub(super) fn read(
    dir: &Path,
    expected: Option<ContentHash>,
) -> Result<Vec<PreparedImage>, DataError> {
    let path = dir.join(MANIFEST);
    let bytes = stride_files::read_file(&path).map_err(DataError::io(&path))?;
    let damaged = |problem: String| DataError::Damaged { path: path.clone(), problem };
    if expected.is_some_and(|expected| expected != ContentHash::of(&bytes)) {
        return Err(damaged(format!("its content is not what {HEADER} says")));
    }
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).enumerate();
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line)
                .map_err(|error| damaged(format!("line {}: {error}", index + 1)))
        })
        .collect()
}

const TOKEN_IDS: &str = "token_ids";
const CAPTION_ENDS: &str = "caption_ends";
const IMAGE_ENDS: &str = "picture_ends";

/// The captions as CLIP's token ids: a safetensors file of `token_ids` u32 of all captions one after the other,
/// `caption_ends` u32 (where each caption ends in them) and `image_ends` u32 (where the captions of each image end in
/// `caption_ends`).
pub(super) fn to_tokens(images: &[PreparedImage]) -> Result<Vec<u8>, DataError> {
    let tokenizer = ClipTokenizer::new()?;
    let captions = images
        .par_iter()
        .map(|image| {
            let encode = |caption: &String| Ok(tokenizer.encode(caption)?.ids);
            image.captions.iter().map(encode).collect::<Result<Vec<_>, DataError>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let lists = [
        (CAPTION_ENDS, ends(captions.iter().flatten().map(Vec::len))),
        (IMAGE_ENDS, ends(captions.iter().map(Vec::len))),
        (TOKEN_IDS, to_bytes(captions.iter().flatten().flatten().copied())),
    ];
    let views = lists.iter().map(|(name, bytes)| {
        Ok((*name, TensorView::new(Dtype::U32, vec![bytes.len() / 4], bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, None::<HashMap<_, _>>))
        .map_err(|error| DataError::Damaged { path: TOKENS.into(), problem: error.to_string() })
}

/// Reads the token ids of every caption of the first `count` images; `expected` is the hash according to the header.
pub(super) fn read_tokens(
    dir: &Path,
    expected: ContentHash,
    count: usize,
) -> Result<Vec<Vec<Vec<u32>>>, DataError> {
    let path = dir.join(TOKENS);
    let bytes = stride_files::read_file(&path).map_err(DataError::io(&path))?;
    let damaged = |problem: String| DataError::Damaged { path: path.clone(), problem };
    if expected != ContentHash::of(&bytes) {
        return Err(damaged(format!("its content is not what {HEADER} says")));
    }
    parse_tokens(&bytes, count).map_err(damaged)
}

fn parse_tokens(bytes: &[u8], count: usize) -> Result<Vec<Vec<Vec<u32>>>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let integers = |name: &str| {
        let view = file.tensor(name).map_err(|error| error.to_string())?;
        let (numbers, _) = view.data().as_chunks();
        Ok::<Vec<u32>, String>(numbers.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
    };
    let mut image_ends = integers(IMAGE_ENDS)?;
    image_ends.truncate(count);
    let mut caption_ends = integers(CAPTION_ENDS)?;
    caption_ends.truncate(image_ends.last().map_or(0, |&end| end as usize));
    let captions = cut(&integers(TOKEN_IDS)?, &caption_ends);
    captions
        .and_then(|captions| cut(&captions, &image_ends))
        .filter(|images| images.len() == count)
        .ok_or_else(|| "its lists do not fit each other".to_owned())
}

/// Splits a list at the given ends; `None` if they are not in order or out of range.
fn cut<T: Clone>(all: &[T], ends: &[u32]) -> Option<Vec<Vec<T>>> {
    let mut start = 0;
    let part = |&end: &u32| {
        let part = all.get(start..end as usize)?.to_vec();
        start = end as usize;
        Some(part)
    };
    ends.iter().map(part).collect()
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
    use std::fs;

    use super::*;

    fn image(name: &str, captions: &[&str]) -> PreparedImage {
        let hash = ContentHash::of(name.as_bytes());
        let captions = captions.iter().map(|&caption| caption.to_owned()).collect();
        PreparedImage { name: name.to_owned(), sha256: hash, key: hash, captions, attributes: None }
    }

    #[test]
    fn tokens_are_those_of_the_captions() {
        let images = [image("a", &["a man", ""]), image("b", &["a red hat"])];
        let bytes = to_tokens(&images).expect("captions");
        let tokenizer = ClipTokenizer::new().expect("built in");
        let ids = |caption| tokenizer.encode(caption).expect("short").ids;
        let all = parse_tokens(&bytes, 2).expect("as written");
        assert_eq!(all, [vec![ids("a man"), ids("")], vec![ids("a red hat")]]);
        assert_eq!(parse_tokens(&bytes, 1).expect("as written"), all[..1]);
        assert!(parse_tokens(&bytes, 3).is_err());
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut images = vec![image("a \"b\"\n.png", &["one\u{2028}"]), image("c", &[""])];
        images[1].attributes = Some(vec!["Smiling".to_owned()]);
        let lines = to_lines(&images).expect("writable");
        assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 2);
        fs::write(dir.path().join(MANIFEST), &lines).expect("writable");
        assert_eq!(read(dir.path(), Some(ContentHash::of(&lines))).expect("whole"), images);
        let error = read(dir.path(), Some(ContentHash::of(b""))).expect_err("other").to_string();
        assert!(error.contains(MANIFEST) && error.contains(HEADER), "{error}");
    }
}
