//! Some of the images of a data set, for what reads pixels and captions at any place.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::{ContentHash, DataError, Problem, Record, Source, SourceOptions};

/// Images of a data set in any layout of [`Source`], in its order.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// The images.
    pub images: Vec<CaptionedImage>,
}

/// One image of a data set: its [`Record`], and its bytes.
#[derive(Clone, Debug)]
pub struct CaptionedImage {
    source: Arc<Source>,
    index: usize,
}

impl Deref for CaptionedImage {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.source.records()[self.index]
    }
}

impl CaptionedImage {
    /// The encoded bytes of the image.
    ///
    /// # Errors
    /// When they cannot be read, are broken or exceed a limit.
    pub fn read(&self) -> Result<Vec<u8>, Problem> {
        self.source.read(self.index)
    }

    /// Whether there is an image, which only a listing of captions alone may lack.
    pub fn is_there(&self) -> bool {
        self.source.is_there(self.index)
    }
}

impl ImageFolder {
    /// Opens a data set of which every image has a caption, and takes at most `max_images` from its start.
    ///
    /// # Errors
    /// As [`Source::open`]; or something in the set is broken or missing, or an image has no caption.
    pub fn open(path: &Path, max_images: Option<usize>) -> Result<Self, DataError> {
        Self::open_as(path, &SourceOptions::default(), max_images)
    }

    /// The same for images alone.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for captions.
    pub fn without_captions(path: &Path, max_images: Option<usize>) -> Result<Self, DataError> {
        Self::open_as(path, &SourceOptions::without_captions(), max_images)
    }

    /// The same for captions, of which the images need not be there.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for images.
    pub fn captions_alone(path: &Path, max_images: Option<usize>) -> Result<Self, DataError> {
        let options = SourceOptions { images_may_be_missing: true, ..SourceOptions::default() };
        Self::open_as(path, &options, max_images)
    }

    fn open_as(
        path: &Path,
        options: &SourceOptions,
        max_images: Option<usize>,
    ) -> Result<Self, DataError> {
        let source = Arc::new(Source::open(path, options)?);
        let mut problems = source.problems().iter().filter(|problem| !problem.kind.is_note());
        if let Some(first) = problems.next() {
            let problem = match problems.count() {
                0 => first.to_string(),
                more => format!("{first}; and {more} more of its files or lines cannot be used"),
            };
            return Err(DataError::BrokenSet { path: path.to_owned(), problem });
        }
        let count = source.records().len().min(max_images.unwrap_or(usize::MAX));
        let image = |index| CaptionedImage { source: Arc::clone(&source), index };
        Ok(Self { images: (0..count).map(image).collect() })
    }

    /// The hash of names, file sizes and captions in their order.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn content_hash(&self) -> Result<ContentHash, DataError> {
        let mut parts: Vec<Cow<'_, [u8]>> = Vec::new();
        for image in &self.images {
            let size = image.source.size(image.index).map_err(DataError::Image)?;
            parts.push(image.name.as_bytes().into());
            parts.push(size.to_le_bytes().to_vec().into());
            parts.extend(image.captions.iter().map(|caption| caption.as_bytes().into()));
        }
        Ok(ContentHash::of_parts(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(metadata: &str) -> Result<ImageFolder, DataError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in ["a.png", "b.png"] {
            fs::write(dir.path().join(name), name).expect("writable");
        }
        fs::write(dir.path().join("metadata.jsonl"), metadata).expect("writable");
        let folder = ImageFolder::open(dir.path(), None);
        if let Ok(folder) = &folder {
            assert_eq!(folder.images[0].read(), Ok(b"a.png".to_vec()));
            folder.content_hash().expect("readable");
        }
        folder
    }

    #[test]
    fn images_are_those_of_the_source() {
        let folder = open(
            "{\"file_name\":\"a.png\",\"text\":\"one\",\"captions\":[\"one\",\"two\"],\"attributes\":{\"hair\":\"bob\"}}\n\n\
             {\"file_name\":\"b.png\",\"captions\":[\"three\"]}\n",
        )
        .expect("valid listing");
        assert_eq!(folder.images[0].captions, ["one", "two"]);
        assert_eq!(folder.images[0].attributes["hair"], "bob");
        assert_eq!((&*folder.images[1].name, &*folder.images[1].captions[0]), ("b.png", "three"));
    }

    #[test]
    fn what_is_broken_is_named() {
        let good = "{\"file_name\":\"a.png\",\"text\":\"x\"}\n";
        for (more, expected) in [
            ("{\"file_name\":", "line 2"),
            ("{\"file_name\":\"../a.png\",\"text\":\"x\"}", "unsafe path"),
            ("{\"file_name\":\"/etc/a.png\",\"text\":\"x\"}", "unsafe path"),
            (
                "{\"file_name\":\"c.png\",\"text\":\"x\"}\n{",
                "c.png: listed in metadata.jsonl, but not there; and 1 more",
            ),
        ] {
            let message = open(&format!("{good}{more}")).expect_err("must fail").to_string();
            assert!(message.contains(expected), "{message}");
        }
        let message = open("{\"file_name\":\"a.png\"}").expect_err("must fail").to_string();
        assert!(message.contains("none of 1 images has a caption"), "{message}");
        assert!(open("\n").is_err());
    }

    #[test]
    fn captions_may_come_without_their_images() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let lines = "{\"file_name\":\"./a.png\",\"text\":\"x\"}\n";
        fs::write(dir.path().join("metadata.jsonl"), lines).expect("writable");
        let folder = ImageFolder::captions_alone(dir.path(), None).expect("captions");
        assert_eq!((&*folder.images[0].name, folder.images[0].is_there()), ("a.png", false));
        assert!(folder.images[0].read().is_err());
        assert!(ImageFolder::open(dir.path(), None).is_err());
    }
}
