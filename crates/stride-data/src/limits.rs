//! How much one image and its captions may take.

/// Bounds on what is read from a data set, so that a broken or hostile file costs little.
///
/// What exceeds one becomes a [`Problem`](crate::Problem); the rest of the set stays usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an encoded image, unpacked from its archive.
    pub max_file_bytes: u64,
    /// Width times height.
    pub max_pixels: u64,
    /// The larger of width and height.
    pub max_side: u32,
    /// The smaller of width and height is at least this.
    pub min_side: u32,
    /// Bytes of a caption; a longer one is left out.
    pub max_caption_bytes: usize,
    /// Captions of an image; further ones are left out.
    pub max_captions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 << 20,
            max_pixels: 100_000_000,
            max_side: 16_384,
            min_side: 1,
            max_caption_bytes: 16 << 10,
            max_captions: 64,
        }
    }
}

impl Limits {
    /// Bytes that a text file of one image may have: every caption at its longest.
    pub(crate) fn max_text_bytes(&self) -> u64 {
        (self.max_caption_bytes as u64).saturating_mul(self.max_captions as u64).max(1 << 16)
    }
}
