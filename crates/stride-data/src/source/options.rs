//! What a user asks of a data set.

use crate::{CaptionWriter, Limits, Record};

/// Captions written for an image from its attributes.
const WRITTEN_CAPTIONS: usize = 5;

/// What is asked of a data set: where its captions and images are, and what to do without captions.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceOptions {
    /// Bounds on what is read.
    pub limits: Limits,
    /// Where captions come from. A set of which no image has such a caption is refused.
    pub captions: CaptionSource,
    /// The field, column or member that holds captions; found by its name if absent.
    pub caption_column: Option<String>,
    /// The field, column or member that holds images or their names; found by its name if absent.
    pub image_column: Option<String>,
    /// Whether a listing may name images that are not there, for captions that came without their images.
    pub images_may_be_missing: bool,
    /// The largest fraction of images without captions, in [0, 1]; these are left out, and more are an error.
    pub max_uncaptioned: f64,
}

impl SourceOptions {
    /// The default of [`max_uncaptioned`](Self::max_uncaptioned).
    pub const MAX_UNCAPTIONED: f64 = 0.25;

    /// Images alone: whether they have captions does not matter.
    pub fn without_captions() -> Self {
        Self { captions: CaptionSource::None, ..Self::default() }
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            captions: CaptionSource::File,
            caption_column: None,
            image_column: None,
            images_may_be_missing: false,
            max_uncaptioned: Self::MAX_UNCAPTIONED,
        }
    }
}

/// Where captions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptionSource {
    /// Written from CelebA's attributes.
    Attributes,
    /// The data set's own.
    File,
    /// The data set's own, then those written from attributes, where it has any.
    Both,
    /// Nowhere: every image has the empty caption.
    None,
}

impl CaptionSource {
    /// The captions of an image.
    pub fn captions(self, record: &Record, writer: &CaptionWriter) -> Vec<String> {
        let mut captions = match self {
            Self::Attributes | Self::None => Vec::new(),
            Self::File | Self::Both => record.captions.clone(),
        };
        if let (Self::Attributes | Self::Both, Some(face)) = (self, record.face) {
            captions.extend(writer.write(face, &record.name, WRITTEN_CAPTIONS));
        }
        captions
    }

    /// Whether the set's own captions are wanted.
    pub(super) fn reads_files(self) -> bool {
        matches!(self, Self::File | Self::Both)
    }

    /// Whether an image has captions, or needs none.
    pub(super) fn is_satisfied(self, record: &Record) -> bool {
        match self {
            Self::Attributes => record.face.is_some(),
            Self::File => !record.captions.is_empty(),
            Self::Both => !record.captions.is_empty() || record.face.is_some(),
            Self::None => true,
        }
    }
}
